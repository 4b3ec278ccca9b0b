// The published versions of a function: publishing one, trying one, deleting one.

import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import { useState } from 'react';

import { type Configuration, deleteVersion, LATEST, listVersions, publishVersion } from '../client/lambda';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { ConfirmDelete } from '../parts/confirm_delete';
import { ago, moment } from '../parts/numbers';
import { Problem } from '../parts/problem';

export function VersionsTab({ configuration, test }: { configuration: Configuration; test: (version: string) => void }) {
  const name = configuration.FunctionName;
  const notices = useNotices();
  const versions = useLoaded(async () => (await listVersions(name)).filter(({ Version }) => Version !== LATEST).reverse(), name);
  const [selected, setSelected] = useState<string>();
  const [dialog, setDialog] = useState<'publish' | 'delete'>();
  const chosen = versions.value?.find(({ Version }) => Version === selected);
  const publish = async (description: string) => {
    try {
      // Of the code that this page knows, and no other.
      const { Version: version } = await publishVersion(name, description, configuration.CodeSha256);
      notices.done(`Version ${version} is published.`);
      await versions.reload();
    } catch (problem) {
      notices.failed('No version is published', problem);
    }
    setDialog(undefined);
  };
  const remove = async (version: string) => {
    try {
      await deleteVersion(name, version);
      notices.done(`Deleted version ${version}.`);
      await versions.reload();
    } catch (problem) {
      notices.failed(`Version ${version} is not deleted`, problem);
    }
    setDialog(undefined);
  };
  return (
    <>
      <Table
        variant="container"
        items={versions.value ?? []}
        loading={versions.loading}
        trackBy="Version"
        selectionType="single"
        selectedItems={chosen ? [chosen] : []}
        onSelectionChange={({ detail }) => setSelected(detail.selectedItems[0]?.Version)}
        ariaLabels={{ tableLabel: 'Versions', selectionGroupLabel: 'Version', itemSelectionLabel: (_, item) => `Select version ${item.Version}` }}
        empty={versions.error === undefined ? <Box textAlign="center">No version is published.</Box> : <Problem error={versions.error} retry={() => void versions.reload()} />}
        header={
          <Header
            variant="h2"
            counter={`(${versions.value?.length ?? 0})`}
            description="What is published never changes"
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button disabled={!chosen} onClick={() => chosen && test(chosen.Version)}>Test version</Button>
                <Button disabled={!chosen} onClick={() => setDialog('delete')}>Delete version</Button>
                <Button onClick={() => setDialog('publish')}>Publish new version</Button>
              </SpaceBetween>
            }
          >
            Versions
          </Header>
        }
        columnDefinitions={[
          { id: 'version', header: 'Version', isRowHeader: true, cell: (item) => item.Version },
          { id: 'description', header: 'Description', cell: (item) => item.Description || '–' },
          { id: 'runtime', header: 'Runtime', cell: (item) => item.Runtime },
          { id: 'code', header: 'Code SHA-256', cell: (item) => <span title={item.CodeSha256}>{item.CodeSha256.slice(0, 12)}…</span> },
          { id: 'published', header: 'Published', cell: (item) => <span title={item.LastModified}>{ago(moment(item.LastModified))}</span> },
        ]}
      />
      {dialog === 'publish' && <Publish close={() => setDialog(undefined)} publish={publish} />}
      {chosen && dialog === 'delete' && (
        <ConfirmDelete what={`version ${chosen.Version}`} consequence="Its number is not given again." close={() => setDialog(undefined)} confirm={() => remove(chosen.Version)} />
      )}
    </>
  );
}

function Publish({ close, publish }: { close: () => void; publish: (description: string) => Promise<void> }) {
  const [description, setDescription] = useState('');
  const [busy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    await publish(description);
  };
  return (
    <Modal
      visible
      onDismiss={close}
      header="Publish new version"
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={close}>Cancel</Button>
            <Button variant="primary" loading={busy} onClick={() => void go()}>Publish</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <FormField label={<span>Version description <i>– optional</i></span>} description="Code and configuration as they are deployed now; where neither changed since the last version, that is the answer.">
        <Input value={description} autoFocus onChange={({ detail }) => setDescription(detail.value)} />
      </FormField>
    </Modal>
  );
}
