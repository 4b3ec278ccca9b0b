// The layers of a function, lowest first: chosen out of what there is, or by the ARN of another account's.

import Box from '@cloudscape-design/components/box';
import FormField from '@cloudscape-design/components/form-field';
import Select from '@cloudscape-design/components/select';
import Textarea from '@cloudscape-design/components/textarea';
import { useState } from 'react';

import { listAllLayerVersions, settled, updateConfiguration } from '../client/lambda';
import { useLoaded } from '../load';
import type { Section } from './configuration_tab';
import { Saving } from './saving';

const linesOf = (text: string) => text.split('\n').map((line) => line.trim()).filter(Boolean);

export function LayersSection({ document: { Configuration: now }, reload }: Section) {
  const layers = (now.Layers ?? []).map(({ Arn: arn }) => arn);
  const [text, setText] = useState('');
  const save = async () => {
    await updateConfiguration(now.FunctionName, { Layers: linesOf(text), RevisionId: now.RevisionId });
    await settled(now.FunctionName);
  };
  return (
    <Saving
      title="Layers"
      begin={() => setText(layers.join('\n'))}
      save={save}
      reload={reload}
      shown={
        layers.length === 0
          ? <Box color="text-body-secondary">None.</Box>
          : <ol className="layers">{layers.map((arn) => <li key={arn}>{arn}</li>)}</ol>
      }
      fields={
        <>
          <Picker taken={linesOf(text)} pick={(arn) => setText([...linesOf(text), arn].join('\n'))} />
          <FormField label="Layer version ARNs" description="One a line, at most five; what is later in the list lies over what is before it." stretch>
            <Textarea value={text} rows={5} spellcheck={false} placeholder="arn:aws:lambda:us-east-1:000000000000:layer:name:1" onChange={({ detail }) => setText(detail.value)} />
          </FormField>
        </>
      }
    />
  );
}

/** Layer versions of the region, by layer, less those that the function has. */
function Picker({ taken, pick }: { taken: string[]; pick: (arn: string) => void }) {
  const versions = useLoaded(listAllLayerVersions, 'layers');
  const free = (versions.value ?? []).filter(({ LayerVersionArn: arn }) => !taken.includes(arn));
  const options = [...new Set(free.map(({ name }) => name))].map((label) => ({
    label,
    options: free
      .filter(({ name }) => name === label)
      .map(({ LayerVersionArn: value, Version: version, Description: description }) => ({ value, label: `${label}, version ${version}`, description: description ?? '' })),
  }));
  return (
    <FormField label="Add a layer">
      <Select
        placeholder="Choose a version"
        filteringType="auto"
        filteringAriaLabel="Find a layer"
        selectedOption={null}
        options={options}
        statusType={versions.loading ? 'loading' : versions.error === undefined ? 'finished' : 'error'}
        errorText="The layers cannot be read"
        empty="There is no other layer in this region."
        onChange={({ detail }) => detail.selectedOption.value !== undefined && pick(detail.selectedOption.value)}
      />
    </FormField>
  );
}
