// Access keys, where lambkin wants some. They stay in this tab's session.

import Box from '@cloudscape-design/components/box';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import { useState } from 'react';

import { keepKeys, keys } from '../client/session';
import { Dialog } from './dialog';

export function KeysDialog({ close }: { close: () => void }) {
  const [id, setId] = useState(keys().accessKeyId);
  const [secret, setSecret] = useState('');
  const use = () => {
    keepKeys({ accessKeyId: id.trim(), secretAccessKey: secret.trim() });
    location.reload();
  };
  return (
    <Dialog title="Access keys" word="Use these keys" wrong={!id.trim() || !secret.trim()} close={close} submit={use}>
      <Box>The console signs its requests with them. They are kept until this tab is closed. Where lambkin verifies no signatures, any will do.</Box>
      <FormField label="Access key ID"><Input value={id} onChange={({ detail }) => setId(detail.value)} autoComplete={false} spellcheck={false} /></FormField>
      <FormField label="Secret access key"><Input type="password" value={secret} onChange={({ detail }) => setSecret(detail.value)} autoComplete={false} /></FormField>
    </Dialog>
  );
}
