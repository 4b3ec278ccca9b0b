// Where the log goes, in which format, and how much of it.

import ColumnLayout from '@cloudscape-design/components/column-layout';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import Link from '@cloudscape-design/components/link';
import Select from '@cloudscape-design/components/select';
import { useState } from 'react';

import { settled, updateConfiguration } from '../client/lambda';
import { follow, to } from '../router';
import type { Section } from './configuration_tab';
import { Saving } from './saving';

const FORMATS = ['Text', 'JSON'];
const APPLICATION = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const SYSTEM = ['DEBUG', 'INFO', 'WARN'];

export function LoggingSection({ document: { Configuration: now }, reload }: Section) {
  const usual = `/aws/lambda/${now.FunctionName}`;
  const current = () => ({
    format: now.LoggingConfig?.LogFormat ?? 'Text',
    application: now.LoggingConfig?.ApplicationLogLevel ?? 'INFO',
    system: now.LoggingConfig?.SystemLogLevel ?? 'INFO',
    group: now.LoggingConfig?.LogGroup ?? usual,
  });
  const [form, setForm] = useState<Record<'format' | 'application' | 'system' | 'group', string>>(current);
  const save = async () => {
    // Lines of text have no level to be chosen by: AWS refuses levels for them.
    const levels = form.format === 'JSON' && { ApplicationLogLevel: form.application, SystemLogLevel: form.system };
    const config = { LogFormat: form.format, LogGroup: form.group || usual, ...levels };
    await updateConfiguration(now.FunctionName, { LoggingConfig: config, RevisionId: now.RevisionId });
    await settled(now.FunctionName);
  };
  const shown = current();
  const choice = (label: string, field: 'format' | 'application' | 'system', values: string[]) => (
    <FormField label={label}>
      <Select
        selectedOption={{ value: form[field], label: form[field] }}
        options={values.map((value) => ({ value, label: value }))}
        onChange={({ detail }) => setForm({ ...form, [field]: detail.selectedOption.value ?? form[field] })}
      />
    </FormField>
  );
  return (
    <Saving
      title="Logging"
      begin={() => setForm(current())}
      save={save}
      reload={reload}
      shown={
        <KeyValuePairs
          columns={4}
          items={[
            { label: 'Log format', value: shown.format },
            { label: 'Application log level', value: shown.format === 'JSON' ? shown.application : '–' },
            { label: 'System log level', value: shown.format === 'JSON' ? shown.system : '–' },
            { label: 'Log group', value: <Link href={to('logs', shown.group)} onFollow={follow}>{shown.group}</Link> },
          ]}
        />
      }
      fields={
        <ColumnLayout columns={2}>
          {choice('Log format', 'format', FORMATS)}
          <FormField label="Log group" description={`Empty for ${usual}`}>
            <Input value={form.group} spellcheck={false} onChange={({ detail }) => setForm({ ...form, group: detail.value.trim() })} />
          </FormField>
          {form.format === 'JSON' && choice('Application log level', 'application', APPLICATION)}
          {form.format === 'JSON' && choice('System log level', 'system', SYSTEM)}
        </ColumnLayout>
      }
    />
  );
}
