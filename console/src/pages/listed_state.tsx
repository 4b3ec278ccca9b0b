// The state of a function that is seen in the list. ListFunctions does not say it, on AWS neither: it is asked for row by row.

import Box from '@cloudscape-design/components/box';
import { useEffect, useState } from 'react';

import { type Configuration, getConfiguration } from '../client/lambda';
import { State } from '../function/state';
import type { Item } from './function_list';

/** Milliseconds that a row has to be seen before its state is asked for: who types or turns pages sees many. */
const SEEN = 200;
/** Until a state that will change is asked for again. */
const SETTLING = 2000;

type Stated = Pick<Configuration, 'State' | 'LastUpdateStatus'>;

/** By function, and by the change that they are of. */
const known = new Map<string, { modified: string; stated: Stated }>();

const settled = ({ State: state, LastUpdateStatus: update }: Stated) => state !== 'Pending' && update !== 'InProgress';

function knownOf({ FunctionName: name, LastModified: modified }: Item): Stated | undefined {
  const found = known.get(name);
  return found?.modified === modified ? found.stated : undefined;
}

export function ListedState({ item }: { item: Item }) {
  const { FunctionName: name, LastModified: modified } = item;
  const [turn, setTurn] = useState(0);
  const stated = knownOf(item);
  useEffect(() => {
    const former = knownOf(item);
    if (former !== undefined && settled(former)) return;
    let seen = true;
    const ask = async () => {
      try {
        const { State: state, LastUpdateStatus: update } = await getConfiguration(name);
        known.set(name, { modified, stated: { ...(state && { State: state }), ...(update && { LastUpdateStatus: update }) } });
      } catch {
        // It is gone, or lambkin is: the list itself says so when it is read again.
        return;
      }
      if (seen) setTurn((now) => now + 1);
    };
    const timer = setTimeout(() => void ask(), former === undefined ? SEEN : SETTLING);
    return () => {
      seen = false;
      clearTimeout(timer);
    };
  }, [name, modified, turn]);
  return stated === undefined ? <Box color="text-body-secondary">…</Box> : <State configuration={stated} />;
}
