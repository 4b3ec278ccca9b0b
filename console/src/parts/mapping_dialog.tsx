// How a function works on a queue: a new event source mapping, or one that there is.

import Checkbox from '@cloudscape-design/components/checkbox';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Select from '@cloudscape-design/components/select';
import Textarea from '@cloudscape-design/components/textarea';
import { useState } from 'react';

import type { Mapping } from '../client/lambda';
import { queueLines } from '../client/own';
import { region } from '../client/session';
import { useLoaded } from '../load';
import { Dialog } from './dialog';

const WHOLE = /^\d+$/;
const PARTIAL = 'ReportBatchItemFailures';

/** JSON has no line breaks inside of its strings: each pattern can stand on a line. */
const lineOf = ({ Pattern: pattern }: { Pattern: string }) => pattern.replace(/\s*\n\s*/g, ' ').trim();

interface Properties {
  /** What a mapping is called there. */
  word: string;
  mapping: Mapping | undefined;
  /** `undefined`: it is asked for. */
  functionName: string | undefined;
  close: () => void;
  /** The members of CreateEventSourceMapping, or of its update. */
  save: (input: Record<string, unknown>) => Promise<void>;
}

export function MappingDialog({ word, mapping, functionName, close, save }: Properties) {
  const queues = useLoaded(queueLines, 'queues');
  const [name, setName] = useState(functionName ?? '');
  const [arn, setArn] = useState(mapping?.EventSourceArn);
  const [form, setForm] = useState({
    batch: String(mapping?.BatchSize ?? 10),
    window: String(mapping?.MaximumBatchingWindowInSeconds ?? 0),
    most: String(mapping?.ScalingConfig?.MaximumConcurrency ?? ''),
    filters: (mapping?.FilterCriteria?.Filters ?? []).map(lineOf).join('\n'),
  });
  const [partial, setPartial] = useState(mapping === undefined || mapping.FunctionResponseTypes?.includes(PARTIAL) === true);
  const set = (field: keyof typeof form) => (event: { detail: { value: string } }) => setForm({ ...form, [field]: event.detail.value });
  const here = (queues.value ?? []).filter((queue) => queue.region === region());
  const wrong = (mapping === undefined && (arn === undefined || name === '')) || !WHOLE.test(form.batch) || !WHOLE.test(form.window) || !/^\d*$/.test(form.most);
  const submit = async () => {
    const filters = form.filters.split('\n').map((line) => line.trim()).filter(Boolean);
    await save({
      ...(mapping === undefined && { FunctionName: name, EventSourceArn: arn }),
      BatchSize: Number(form.batch),
      MaximumBatchingWindowInSeconds: Number(form.window),
      FunctionResponseTypes: partial ? [PARTIAL] : [],
      // Empty ones take away what there was.
      ...((filters.length > 0 || mapping?.FilterCriteria) && { FilterCriteria: { Filters: filters.map((Pattern) => ({ Pattern })) } }),
      ...((form.most !== '' || mapping?.ScalingConfig) && { ScalingConfig: form.most === '' ? {} : { MaximumConcurrency: Number(form.most) } }),
    });
  };
  return (
    <Dialog title={mapping ? `Edit the ${word} ${mapping.EventSourceArn.split(':').pop()}` : `Add ${word}`} word={mapping ? 'Save' : 'Add'} wrong={wrong} close={close} submit={submit}>
      {!mapping && functionName === undefined && (
        <FormField label="Function" description="A name, or with an alias or a version: name:alias">
          <Input value={name} spellcheck={false} onChange={({ detail }) => setName(detail.value.trim())} />
        </FormField>
      )}
      {!mapping && (
        <FormField label="Queue">
          <Select
            placeholder="Choose a queue"
            selectedOption={here.filter((queue) => queue.arn === arn).map(({ name, arn: value }) => ({ value, label: name }))[0] ?? null}
            options={here.map(({ name, arn: value }) => ({ value, label: name }))}
            empty="There are no queues in this region."
            onChange={({ detail }) => setArn(detail.selectedOption.value)}
          />
        </FormField>
      )}
      <FormField label="Batch size"><Input type="number" value={form.batch} onChange={set('batch')} /></FormField>
      <FormField label="Batch window (seconds)" description="0 to 300; more than 10 messages want one of a second at least"><Input type="number" value={form.window} onChange={set('window')} /></FormField>
      <FormField label="Maximum concurrency" description="2 to 1000; empty for no bound of its own"><Input type="number" value={form.most} onChange={set('most')} /></FormField>
      <Checkbox checked={partial} onChange={({ detail }) => setPartial(detail.checked)}>Report batch item failures</Checkbox>
      <FormField label="Filter criteria" description="A pattern a line; a message that matches none is deleted" stretch>
        <Textarea value={form.filters} rows={3} spellcheck={false} placeholder='{ "body": { "kind": ["order"] } }' onChange={set('filters')} />
      </FormField>
    </Dialog>
  );
}
