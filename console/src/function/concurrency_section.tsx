// How many may run at once.

import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import RadioGroup from '@cloudscape-design/components/radio-group';
import { useState } from 'react';

import { putConcurrency } from '../client/lambda';
import type { Section } from './configuration_tab';
import { Saving } from './saving';

export function ConcurrencySection({ document: { Configuration: now, Concurrency: concurrency }, reload }: Section) {
  const set = concurrency?.ReservedConcurrentExecutions;
  const [kind, setKind] = useState('none');
  const [count, setCount] = useState('');
  const begin = () => {
    setKind(set === undefined ? 'none' : 'reserved');
    setCount(String(set ?? 10));
  };
  return (
    <Saving
      title="Concurrency"
      begin={begin}
      save={() => putConcurrency(now.FunctionName, kind === 'none' ? undefined : Number(count))}
      reload={reload}
      wrong={kind === 'reserved' && !/^\d+$/.test(count)}
      shown={set === undefined ? 'Unreserved: it shares the account’s concurrency.' : `Reserved: ${set} at once, at most and for sure.`}
      fields={
        <>
          <RadioGroup
            ariaLabel="Concurrency"
            value={kind}
            onChange={({ detail }) => setKind(detail.value)}
            items={[{ value: 'none', label: 'Unreserved' }, { value: 'reserved', label: 'Reserved', description: '0 lets nothing run.' }]}
          />
          {kind === 'reserved' && <FormField label="Reserved concurrency"><Input type="number" value={count} onChange={({ detail }) => setCount(detail.value)} /></FormField>}
        </>
      }
    />
  );
}
