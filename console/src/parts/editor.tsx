// The editor, which is loaded when one is first shown.

import Spinner from '@cloudscape-design/components/spinner';
import { type ComponentProps, lazy, Suspense } from 'react';

const CodeMirror = lazy(() => import('../editor/code_mirror'));

export function Editor(properties: ComponentProps<typeof CodeMirror>) {
  return (
    <Suspense fallback={<Spinner size="large" />}>
      <CodeMirror {...properties} />
    </Suspense>
  );
}
