// Deleting wants a word typed.

import Alert from '@cloudscape-design/components/alert';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import { useState } from 'react';

import { Dialog } from './dialog';

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
  const title = word.charAt(0).toUpperCase() + word.slice(1);
  return (
    <Dialog title={`${title} ${what}?`} word={title} wrong={typed.trim().toLowerCase() !== word} close={close} submit={confirm}>
      <Alert type="warning">{consequence} This cannot be undone.</Alert>
      <FormField label={`To confirm, type ${word}`}>
        <Input value={typed} placeholder={word} onChange={({ detail }) => setTyped(detail.value)} />
      </FormField>
    </Dialog>
  );
}
