// Keys and values, shown and edited: variables, tags.

import AttributeEditor from '@cloudscape-design/components/attribute-editor';
import Box from '@cloudscape-design/components/box';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';

export interface Pair {
  key: string;
  value: string;
}

export const entriesOf = (record: Record<string, string> = {}): Pair[] => Object.entries(record).map(([key, value]) => ({ key, value }));
export const recordOf = (items: Pair[]): Record<string, string> => Object.fromEntries(items.map(({ key, value }) => [key, value]));
/** A key is missing, or there twice. */
export const unfit = (items: Pair[]): boolean => new Set(items.map(({ key }) => key)).size < items.length || items.some(({ key }) => key === '');

export function Pairs({ items }: { items: Pair[] }) {
  if (items.length === 0) return <Box color="text-body-secondary">None.</Box>;
  return <KeyValuePairs columns={3} items={items.map(({ key, value }) => ({ label: key, value: value || '–' }))} />;
}

export function PairsEditor({ noun, items, change }: { noun: string; items: Pair[]; change: (items: Pair[]) => void }) {
  const put = (index: number, part: Partial<Pair>) => change(items.map((item, at) => (at === index ? { ...item, ...part } : item)));
  const twice = (key: string) => key !== '' && items.filter((each) => each.key === key).length > 1;
  return (
    <AttributeEditor
      items={items}
      addButtonText={`Add ${noun}`}
      removeButtonText="Remove"
      empty={`No ${noun}s.`}
      onAddButtonClick={() => change([...items, { key: '', value: '' }])}
      onRemoveButtonClick={({ detail }) => change(items.filter((_, at) => at !== detail.itemIndex))}
      definition={[
        { label: 'Key', errorText: ({ key }) => (twice(key) ? 'This key is there twice.' : null), control: ({ key }, index) => <Input value={key} ariaLabel={`Key ${index + 1}`} spellcheck={false} onChange={({ detail }) => put(index, { key: detail.value })} /> },
        { label: 'Value', control: ({ value }, index) => <Input value={value} ariaLabel={`Value ${index + 1}`} spellcheck={false} onChange={({ detail }) => put(index, { value: detail.value })} /> },
      ]}
    />
  );
}
