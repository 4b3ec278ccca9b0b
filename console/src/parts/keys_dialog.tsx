// Access keys, where lambkin wants some. They stay in this tab's session.

import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Form from '@cloudscape-design/components/form';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useState } from 'react';

import { keepKeys, keys } from '../client/session';

export function KeysDialog({ close }: { close: () => void }) {
  const [id, setId] = useState(keys().accessKeyId);
  const [secret, setSecret] = useState('');
  const use = () => {
    keepKeys({ accessKeyId: id.trim(), secretAccessKey: secret.trim() });
    location.reload();
  };
  return (
    <Modal
      visible
      onDismiss={close}
      header="Access keys"
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={close}>Cancel</Button>
            <Button variant="primary" disabled={!id.trim() || !secret.trim()} onClick={use}>Use these keys</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <Form>
        <SpaceBetween size="m">
          <Box>The console signs its requests with them. They are kept until this tab is closed. Where lambkin verifies no signatures, any will do.</Box>
          <FormField label="Access key ID"><Input value={id} onChange={({ detail }) => setId(detail.value)} autoComplete={false} spellcheck={false} /></FormField>
          <FormField label="Secret access key"><Input type="password" value={secret} onChange={({ detail }) => setSecret(detail.value)} autoComplete={false} /></FormField>
        </SpaceBetween>
      </Form>
    </Modal>
  );
}
