// Something went wrong: what, and trying again.

import Alert from '@cloudscape-design/components/alert';
import Button from '@cloudscape-design/components/button';

import { Refusal, said } from '../client/request';

export function Problem({ error, retry, header }: { error: unknown; retry?: (() => void) | undefined; header?: string }) {
  if (error === undefined || error === null) return null;
  const code = error instanceof Refusal ? error.code : undefined;
  return (
    <Alert
      type="error"
      header={header ?? code}
      action={retry && <Button onClick={retry}>Try again</Button>}
    >
      {said(error)}
    </Alert>
  );
}
