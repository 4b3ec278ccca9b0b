// What it is, its memory and time, and as whom it runs.

import ColumnLayout from '@cloudscape-design/components/column-layout';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import { useState } from 'react';

import { settled, updateConfiguration } from '../client/lambda';
import type { Section } from './configuration_tab';
import { Saving } from './saving';

export function GeneralSection({ document: { Configuration: now }, reload }: Section) {
  const storage = now.EphemeralStorage?.Size ?? 512;
  const current = () => ({
    description: now.Description, role: now.Role, memory: String(now.MemorySize), timeout: String(now.Timeout), storage: String(storage),
  });
  const [form, setForm] = useState(current);
  const set = (field: keyof typeof form) => (event: { detail: { value: string } }) => setForm({ ...form, [field]: event.detail.value });
  const save = async () => {
    await updateConfiguration(now.FunctionName, {
      Description: form.description, Role: form.role, MemorySize: Number(form.memory), Timeout: Number(form.timeout),
      EphemeralStorage: { Size: Number(form.storage) }, RevisionId: now.RevisionId,
    });
    await settled(now.FunctionName);
  };
  return (
    <Saving
      title="General configuration"
      begin={() => setForm(current())}
      save={save}
      reload={reload}
      wrong={[form.memory, form.timeout, form.storage].some((number) => !/^\d+$/.test(number))}
      shown={
        <KeyValuePairs
          columns={4}
          items={[
            { label: 'Description', value: now.Description || '–' },
            { label: 'Memory', value: `${now.MemorySize} MB` },
            { label: 'Timeout', value: `${now.Timeout} s` },
            { label: 'Ephemeral storage', value: `${storage} MB` },
            { label: 'Execution role', value: <span style={{ overflowWrap: 'anywhere' }}>{now.Role}</span> },
          ]}
        />
      }
      fields={
        <ColumnLayout columns={2}>
          <FormField label="Description"><Input value={form.description} onChange={set('description')} /></FormField>
          <FormField label="Execution role"><Input value={form.role} onChange={set('role')} spellcheck={false} /></FormField>
          <FormField label="Memory (MB)" description="128 to 10240"><Input type="number" value={form.memory} onChange={set('memory')} /></FormField>
          <FormField label="Timeout (seconds)" description="1 to 900"><Input type="number" value={form.timeout} onChange={set('timeout')} /></FormField>
          <FormField label="Ephemeral storage (MB)" description="/tmp; 512 to 10240"><Input type="number" value={form.storage} onChange={set('storage')} /></FormField>
        </ColumnLayout>
      }
    />
  );
}
