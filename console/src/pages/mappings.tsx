// Which functions work on which queues.

import { Mappings } from '../parts/mappings';

export default function MappingsPage() {
  return <Mappings />;
}
