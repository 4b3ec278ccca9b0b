// The published versions of a function: publishing one, trying one, deleting one.

import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useState } from 'react';

import { type Configuration, deleteVersion, getScaling, LATEST, listVersions, publishVersion, type Scaling } from '../client/lambda';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { ChosenTable, useChoice } from '../parts/chosen_table';
import { ConfirmDelete } from '../parts/confirm_delete';
import { Dialog } from '../parts/dialog';
import { ago, moment } from '../parts/numbers';
import { Problem } from '../parts/problem';

export function VersionsTab({ configuration, test }: { configuration: Configuration; test: (version: string) => void }) {
  const name = configuration.FunctionName;
  const notices = useNotices();
  const choice = useChoice(
    useLoaded(async () => (await listVersions(name)).filter(({ Version }) => Version !== LATEST).reverse(), name),
    ({ Version: version }) => version,
  );
  const { chosen, loaded } = choice;
  const [dialog, setDialog] = useState<'publish' | 'delete'>();
  const publish = async (description: string) => {
    // Of the code that this page knows, and no other.
    const { Version: version } = await publishVersion(name, description, configuration.CodeSha256);
    notices.done(`Version ${version} is published.`);
    setDialog(undefined);
    await loaded.reload();
  };
  const remove = async (version: string) => {
    await notices.act(`Deleted version ${version}.`, `Version ${version} is not deleted`, () => deleteVersion(name, version));
    setDialog(undefined);
    await loaded.reload();
  };
  return (
    <>
      <ChosenTable
        choice={choice}
        title="Versions"
        noun="Version"
        nameOf={(item) => `version ${item.Version}`}
        description="What is published never changes"
        empty="No version is published."
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button disabled={!chosen} onClick={() => chosen && test(chosen.Version)}>Test version</Button>
            <Button disabled={!chosen} onClick={() => setDialog('delete')}>Delete version</Button>
            <Button onClick={() => setDialog('publish')}>Publish new version</Button>
          </SpaceBetween>
        }
        columns={[
          { id: 'version', header: 'Version', isRowHeader: true, cell: (item) => item.Version },
          { id: 'description', header: 'Description', cell: (item) => item.Description || '–' },
          { id: 'runtime', header: 'Runtime', cell: (item) => item.Runtime },
          { id: 'code', header: 'Code SHA-256', cell: (item) => <span title={item.CodeSha256}>{item.CodeSha256.slice(0, 12)}…</span> },
          { id: 'published', header: 'Published', cell: (item) => <span title={item.LastModified}>{ago(moment(item.LastModified))}</span> },
        ]}
      />
      {chosen && <Environments name={name} version={chosen.Version} />}
      {dialog === 'publish' && <Publish close={() => setDialog(undefined)} publish={publish} />}
      {chosen && dialog === 'delete' && (
        <ConfirmDelete what={`version ${chosen.Version}`} consequence="Its number is not given again." close={() => setDialog(undefined)} confirm={() => remove(chosen.Version)} />
      )}
    </>
  );
}

/** What PutFunctionScalingConfig said of the version. */
function Environments({ name, version }: { name: string; version: string }) {
  const { value, error } = useLoaded(() => getScaling(name, version), `${name}:${version}`);
  const applied = value && limits(value.AppliedFunctionScalingConfig);
  const requested = value?.RequestedFunctionScalingConfig && limits(value.RequestedFunctionScalingConfig);
  return (
    <Box padding={{ vertical: 's', horizontal: 'l' }}>
      <Problem error={error} />
      {applied && `Environments of version ${version}: ${applied}${requested && requested !== applied ? `; asked for: ${requested}` : ''}.`}
    </Box>
  );
}

const limits = (scaling: Scaling = {}) => {
  const { MinExecutionEnvironments: least = 0, MaxExecutionEnvironments: most } = scaling;
  return `${least === 0 ? 'as many as are needed' : `at least ${least}`}${most === undefined ? '' : `, at most ${most}`}`;
};

function Publish({ close, publish }: { close: () => void; publish: (description: string) => Promise<void> }) {
  const [description, setDescription] = useState('');
  return (
    <Dialog title="Publish new version" word="Publish" close={close} submit={() => publish(description)}>
      <FormField label={<span>Version description <i>– optional</i></span>} description="Code and configuration as they are deployed now; where neither changed since the last version, that is the answer.">
        <Input value={description} onChange={({ detail }) => setDescription(detail.value)} />
      </FormField>
    </Dialog>
  );
}
