// A section that is read until somebody edits it, and then saved or let be.

import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import Form from '@cloudscape-design/components/form';
import Header from '@cloudscape-design/components/header';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { type ReactNode, useState } from 'react';

import { Refusal, said } from '../client/request';

interface Properties {
  title: string;
  description?: string;
  shown: ReactNode;
  fields: ReactNode;
  /** Takes over what is set now. */
  begin: () => void;
  save: () => Promise<void>;
  reload: () => Promise<void>;
  wrong?: boolean;
}

export function Saving({ title, description, shown, fields, begin, save, reload, wrong = false }: Properties) {
  const [editing, setEditing] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const submit = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await save();
      await reload();
      setEditing(false);
    } catch (problem) {
      setError(problem);
      // Somebody else changed it: the next attempt begins from what is set now, and says so.
      if (problem instanceof Refusal && problem.status === 412) await reload();
    } finally {
      setBusy(false);
    }
  };
  const edit = () => {
    begin();
    setError(undefined);
    setEditing(true);
  };
  return (
    <Container
      header={
        <Header variant="h2" {...(description !== undefined && { description })} actions={!editing && <Button ariaLabel={`Edit ${title}`} onClick={edit}>Edit</Button>}>
          {title}
        </Header>
      }
    >
      {!editing ? shown : (
        <form
          aria-label={title}
          onSubmit={(event) => {
            event.preventDefault();
            if (!wrong) void submit();
          }}
        >
          <Form
            errorText={error === undefined ? undefined : errorText(error)}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button variant="link" formAction="none" onClick={() => setEditing(false)}>Cancel</Button>
                <Button variant="primary" loading={busy} disabled={wrong}>Save</Button>
              </SpaceBetween>
            }
          >
            <SpaceBetween size="m">{fields}</SpaceBetween>
          </Form>
        </form>
      )}
    </Container>
  );
}

function errorText(error: unknown): string {
  if (error instanceof Refusal && error.status === 412) return 'Somebody else changed the function meanwhile; nothing was overwritten.';
  return said(error);
}
