// What becomes of events: attempts, age, destinations, dead letters.

import ColumnLayout from '@cloudscape-design/components/column-layout';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import Select from '@cloudscape-design/components/select';
import { useState } from 'react';

import { getEventInvoke, putEventInvoke, settled, updateConfiguration } from '../client/lambda';
import { useLoaded } from '../load';
import type { Section } from './configuration_tab';
import { Saving } from './saving';

/** AWS's, where nothing is set. */
const RETRIES = 2;
const AGE = 21_600;

export function AsynchronousSection({ document: { Configuration: now }, reload }: Section) {
  const config = useLoaded(() => getEventInvoke(now.FunctionName), now.FunctionName);
  const destinations = config.value?.DestinationConfig;
  const current = () => ({
    retries: String(config.value?.MaximumRetryAttempts ?? RETRIES),
    age: String(config.value?.MaximumEventAgeInSeconds ?? AGE),
    success: destinations?.OnSuccess?.Destination ?? '',
    failure: destinations?.OnFailure?.Destination ?? '',
    dead: now.DeadLetterConfig?.TargetArn ?? '',
  });
  const [form, setForm] = useState(current);
  const set = (field: keyof typeof form) => (event: { detail: { value: string } }) => setForm({ ...form, [field]: event.detail.value.trim() });
  const save = async () => {
    await putEventInvoke(now.FunctionName, {
      MaximumRetryAttempts: Number(form.retries),
      MaximumEventAgeInSeconds: Number(form.age),
      DestinationConfig: {
        ...(form.success && { OnSuccess: { Destination: form.success } }),
        ...(form.failure && { OnFailure: { Destination: form.failure } }),
      },
    });
    if (form.dead !== (now.DeadLetterConfig?.TargetArn ?? '')) {
      await updateConfiguration(now.FunctionName, { DeadLetterConfig: { TargetArn: form.dead }, RevisionId: now.RevisionId });
      await settled(now.FunctionName);
    }
    await config.reload();
  };
  const shown = current();
  const arn = (text: string) => <span style={{ overflowWrap: 'anywhere' }}>{text || '–'}</span>;
  return (
    <Saving
      title="Asynchronous invocation"
      begin={() => setForm(current())}
      save={save}
      reload={reload}
      wrong={!/^\d+$/.test(form.age)}
      shown={
        <KeyValuePairs
          columns={3}
          items={[
            { label: 'Retry attempts', value: shown.retries },
            { label: 'Maximum age of event', value: `${shown.age} s` },
            { label: 'Dead-letter queue', value: arn(shown.dead) },
            { label: 'On success', value: arn(shown.success) },
            { label: 'On failure', value: arn(shown.failure) },
          ]}
        />
      }
      fields={
        <ColumnLayout columns={2}>
          <FormField label="Retry attempts">
            <Select selectedOption={{ value: form.retries, label: form.retries }} options={['0', '1', '2'].map((value) => ({ value, label: value }))} onChange={({ detail }) => setForm({ ...form, retries: detail.selectedOption.value ?? form.retries })} />
          </FormField>
          <FormField label="Maximum age of event (seconds)" description="60 to 21600"><Input type="number" value={form.age} onChange={set('age')} /></FormField>
          <FormField label="Destination on success" description="ARN of a queue, topic or function"><Input value={form.success} onChange={set('success')} spellcheck={false} /></FormField>
          <FormField label="Destination on failure" description="ARN of a queue, topic or function"><Input value={form.failure} onChange={set('failure')} spellcheck={false} /></FormField>
          <FormField label="Dead-letter queue" description="ARN of a queue or topic"><Input value={form.dead} onChange={set('dead')} spellcheck={false} /></FormField>
        </ColumnLayout>
      }
    />
  );
}
