// The queues that a function works on: its event source mappings.

import { Mappings } from '../parts/mappings';
import type { Section } from './configuration_tab';

export function TriggersSection({ document: { Configuration: { FunctionName: name } } }: Section) {
  return <Mappings functionName={name} />;
}
