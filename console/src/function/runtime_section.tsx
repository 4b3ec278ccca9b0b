// Which Node.js runs a function, and which of its exports.

import ColumnLayout from '@cloudscape-design/components/column-layout';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import Select from '@cloudscape-design/components/select';
import { useState } from 'react';

import { RUNTIMES } from '../blueprints';
import { settled, updateConfiguration } from '../client/lambda';
import type { Section } from './configuration_tab';
import { Saving } from './saving';

export function RuntimeSection({ document: { Configuration: now }, reload }: Section) {
  const current = () => ({ runtime: now.Runtime, handler: now.Handler });
  const [form, setForm] = useState(current);
  const save = async () => {
    await updateConfiguration(now.FunctionName, { Runtime: form.runtime, Handler: form.handler, RevisionId: now.RevisionId });
    await settled(now.FunctionName);
  };
  return (
    <Saving
      title="Runtime settings"
      begin={() => setForm(current())}
      save={save}
      reload={reload}
      shown={
        <KeyValuePairs
          columns={4}
          items={[
            { label: 'Runtime', value: now.Runtime },
            { label: 'Handler', value: <span style={{ overflowWrap: 'anywhere' }}>{now.Handler}</span> },
            { label: 'Architecture', value: now.Architectures?.join(', ') ?? '–' },
          ]}
        />
      }
      fields={
        <ColumnLayout columns={2}>
          <FormField label="Runtime">
            <Select
              selectedOption={{ value: form.runtime, label: form.runtime }}
              options={RUNTIMES.map((value) => ({ value, label: value }))}
              onChange={({ detail }) => setForm({ ...form, runtime: detail.selectedOption.value ?? form.runtime })}
            />
          </FormField>
          <FormField label="Handler" description="The file without its ending, a dot, the export">
            <Input value={form.handler} onChange={({ detail }) => setForm({ ...form, handler: detail.value })} spellcheck={false} />
          </FormField>
        </ColumnLayout>
      }
    />
  );
}
