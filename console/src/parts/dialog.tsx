// A form in front of the page: what is asked for, and one deed, by its button or by Enter. A refusal stays in it, so that
// nothing typed is lost.

import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { type ReactNode, useId, useState } from 'react';

import { said } from '../client/request';

interface Properties {
  title: string;
  /** The deed's name, on its button. */
  word: string;
  wrong?: boolean;
  close: () => void;
  /** Closes the dialog itself when it is done; what it throws is shown here. */
  submit: () => Promise<void> | void;
  children: ReactNode;
}

/** The modal itself begins on its button that closes it, where Enter would end what was just begun. */
function beginWithin(form: HTMLFormElement | null): void {
  requestAnimationFrame(() => form?.querySelector<HTMLElement>('input:enabled:not([type=file]), textarea:enabled, button:enabled')?.focus());
}

export function Dialog({ title, word, wrong = false, close, submit, children }: Properties) {
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const go = async () => {
    if (wrong || busy) return;
    setBusy(true);
    setError(undefined);
    try {
      await submit();
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  return (
    <Modal
      visible
      onDismiss={close}
      header={title}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={close}>Cancel</Button>
            <Button variant="primary" form={id} disabled={wrong} loading={busy}>{word}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <form
        id={id}
        ref={beginWithin}
        onSubmit={(event) => {
          event.preventDefault();
          // React tells forms around this one, too, wherever they are in the document.
          event.stopPropagation();
          void go();
        }}
      >
        <SpaceBetween size="m">
          {children}
          {error !== undefined && <Alert type="error">{said(error)}</Alert>}
        </SpaceBetween>
      </form>
    </Modal>
  );
}
