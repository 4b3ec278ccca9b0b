// A function's tags.

import { useState } from 'react';

import { changeTags } from '../client/lambda';
import { entriesOf, type Pair, Pairs, PairsEditor, recordOf, unfit } from '../parts/pairs';
import type { Section } from './configuration_tab';
import { Saving } from './saving';

export function TagsSection({ document: { Configuration: { FunctionArn: arn }, Tags: tags = {} }, reload }: Section) {
  const [items, setItems] = useState<Pair[]>([]);
  return (
    <Saving
      title="Tags"
      begin={() => setItems(entriesOf(tags))}
      save={() => changeTags(arn, tags, recordOf(items))}
      reload={reload}
      wrong={unfit(items)}
      shown={<Pairs items={entriesOf(tags)} />}
      fields={<PairsEditor noun="tag" items={items} change={setItems} />}
    />
  );
}
