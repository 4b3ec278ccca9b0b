// A form in front of the page: what is asked for, and one deed. A refusal stays in it, so that nothing typed is lost.

import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { type ReactNode, useState } from 'react';

import { said } from '../client/request';

interface Properties {
  title: string;
  /** The deed's name, on its button. */
  word: string;
  wrong?: boolean;
  close: () => void;
  /** Closes the dialog itself when it is done; what it throws is shown here. */
  submit: () => Promise<void>;
  children: ReactNode;
}

export function Dialog({ title, word, wrong = false, close, submit, children }: Properties) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const go = async () => {
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
            <Button variant="primary" disabled={wrong} loading={busy} onClick={() => void go()}>{word}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        {children}
        {error !== undefined && <Alert type="error">{said(error)}</Alert>}
      </SpaceBetween>
    </Modal>
  );
}
