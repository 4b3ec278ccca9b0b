// Environment variables.

import { useState } from 'react';

import { settled, updateConfiguration } from '../client/lambda';
import { entriesOf, type Pair, Pairs, PairsEditor, recordOf, unfit } from '../parts/pairs';
import type { Section } from './configuration_tab';
import { Saving } from './saving';

export function VariablesSection({ document: { Configuration: now }, reload }: Section) {
  const current = () => entriesOf(now.Environment?.Variables);
  const [items, setItems] = useState<Pair[]>(current);
  const save = async () => {
    await updateConfiguration(now.FunctionName, { Environment: { Variables: recordOf(items) }, RevisionId: now.RevisionId });
    await settled(now.FunctionName);
  };
  return (
    <Saving
      title="Environment variables"
      begin={() => setItems(current())}
      save={save}
      reload={reload}
      wrong={unfit(items)}
      shown={<Pairs items={current()} />}
      fields={<PairsEditor noun="variable" items={items} change={setItems} />}
    />
  );
}
