// Deleting wants a word typed.

import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useState } from 'react';

interface Properties {
  what: string;
  consequence: string;
  /** To be typed, and the name of the deed. */
  word?: string;
  close: () => void;
  confirm: () => Promise<void>;
}

export function ConfirmDelete({ what, consequence, word = 'delete', close, confirm }: Properties) {
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const title = word.charAt(0).toUpperCase() + word.slice(1);
  const ready = typed.trim().toLowerCase() === word;
  const go = async () => {
    setBusy(true);
    await confirm();
  };
  return (
    <Modal
      visible
      onDismiss={close}
      header={`${title} ${what}?`}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={close}>Cancel</Button>
            <Button variant="primary" disabled={!ready} loading={busy} onClick={() => void go()}>{title}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Alert type="warning">{consequence} This cannot be undone.</Alert>
        <FormField label={`To confirm, type ${word}`}>
          <Input
            value={typed}
            placeholder={word}
            autoFocus
            onChange={({ detail }) => setTyped(detail.value)}
            onKeyDown={({ detail }) => detail.key === 'Enter' && ready && void go()}
          />
        </FormField>
      </SpaceBetween>
    </Modal>
  );
}
