// Environments that stand ready for a version or an alias: asking for them, watching them come, letting them go.

import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator, { type StatusIndicatorProps } from '@cloudscape-design/components/status-indicator';
import { useState } from 'react';

import { deleteProvisioned, LATEST, listAliases, listProvisioned, listVersions, type Provisioned, putProvisioned } from '../client/lambda';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { ChosenTable, useChoice } from '../parts/chosen_table';
import { Dialog } from '../parts/dialog';
import type { Section } from './configuration_tab';

/** Often enough to see them come. */
const INTERVAL = 3000;

const STATUS: Record<Provisioned['Status'], StatusIndicatorProps.Type> = { READY: 'success', IN_PROGRESS: 'in-progress', FAILED: 'error' };

const qualifierOf = (item: Provisioned) => item.FunctionArn.split(':')[7] ?? '';

export function ProvisionedSection({ document: { Configuration: { FunctionName: name } } }: Section) {
  const notices = useNotices();
  const choice = useChoice(useLoaded(() => listProvisioned(name), name, INTERVAL), qualifierOf);
  const { chosen, loaded } = choice;
  const [dialog, setDialog] = useState<'add' | 'edit'>();
  const save = async (qualifier: string, count: number) => {
    await putProvisioned(name, qualifier, count);
    setDialog(undefined);
    await loaded.reload();
  };
  const remove = async (qualifier: string) => {
    await notices.act(
      `Nothing is provisioned for ${qualifier} any more.`, `What is provisioned for ${qualifier} stays`, () => deleteProvisioned(name, qualifier),
    );
    await loaded.reload();
  };
  return (
    <>
      <ChosenTable
        choice={choice}
        title="Provisioned concurrency"
        noun="Provisioned concurrency of"
        nameOf={(item) => `what is provisioned for ${qualifierOf(item)}`}
        description="Environments that are initialised before anybody asks"
        empty="Nothing is provisioned."
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button disabled={!chosen} onClick={() => setDialog('edit')}>Edit provisioned</Button>
            <Button disabled={!chosen} onClick={() => chosen && void remove(qualifierOf(chosen))}>Remove provisioned</Button>
            <Button onClick={() => setDialog('add')}>Add provisioned</Button>
          </SpaceBetween>
        }
        columns={[
          { id: 'qualifier', header: 'Version or alias', isRowHeader: true, cell: qualifierOf },
          { id: 'requested', header: 'Requested', cell: (item) => item.RequestedProvisionedConcurrentExecutions },
          { id: 'allocated', header: 'Allocated', cell: (item) => item.AllocatedProvisionedConcurrentExecutions ?? 0 },
          { id: 'available', header: 'Available', cell: (item) => item.AvailableProvisionedConcurrentExecutions ?? 0 },
          {
            id: 'status', header: 'Status',
            cell: (item) => <span title={item.StatusReason}><StatusIndicator type={STATUS[item.Status]}>{item.Status}</StatusIndicator></span>,
          },
        ]}
      />
      {dialog === 'add' && <Edit name={name} former={undefined} close={() => setDialog(undefined)} save={save} />}
      {dialog === 'edit' && chosen && <Edit name={name} former={chosen} close={() => setDialog(undefined)} save={save} />}
    </>
  );
}

interface EditProperties {
  name: string;
  former: Provisioned | undefined;
  close: () => void;
  save: (qualifier: string, count: number) => Promise<void>;
}

function Edit({ name, former, close, save }: EditProperties) {
  const versions = useLoaded(() => listVersions(name), name);
  const aliases = useLoaded(() => listAliases(name), name);
  const [qualifier, setQualifier] = useState(former && qualifierOf(former));
  const [count, setCount] = useState(String(former?.RequestedProvisionedConcurrentExecutions ?? 1));
  const options = [
    ...(aliases.value ?? []).map(({ Name: value, FunctionVersion: version }) => ({ value, label: value, description: `Alias of version ${version}` })),
    ...(versions.value ?? []).map(({ Version: value, Description: description }) => ({ value, label: value, description })).filter(({ value }) => value !== LATEST).reverse(),
  ];
  const submit = async () => {
    if (qualifier !== undefined) await save(qualifier, Number(count));
  };
  return (
    <Dialog
      title={former ? `Provisioned concurrency of ${qualifierOf(former)}` : 'Add provisioned concurrency'}
      word="Save"
      wrong={qualifier === undefined || !/^\d+$/.test(count)}
      close={close}
      submit={submit}
    >
      <FormField label="Version or alias">
        <Select
          placeholder="Choose a version or an alias"
          disabled={former !== undefined}
          selectedOption={qualifier === undefined ? null : { value: qualifier, label: qualifier }}
          options={options}
          empty="No version is published."
          onChange={({ detail }) => setQualifier(detail.selectedOption.value)}
        />
      </FormField>
      <FormField label="Environments"><Input type="number" value={count} onChange={({ detail }) => setCount(detail.value)} /></FormField>
    </Dialog>
  );
}
