// Environments that stand ready for a version or an alias: asking for them, watching them come, letting them go.

import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator, { type StatusIndicatorProps } from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import { useState } from 'react';

import { deleteProvisioned, LATEST, listAliases, listProvisioned, listVersions, type Provisioned, putProvisioned } from '../client/lambda';
import { said } from '../client/request';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { Problem } from '../parts/problem';
import type { Section } from './configuration_tab';

/** Often enough to see them come. */
const INTERVAL = 3000;

const STATUS: Record<Provisioned['Status'], StatusIndicatorProps.Type> = { READY: 'success', IN_PROGRESS: 'in-progress', FAILED: 'error' };

const qualifierOf = (item: Provisioned) => item.FunctionArn.split(':')[7] ?? '';

export function ProvisionedSection({ document: { Configuration: { FunctionName: name } } }: Section) {
  const notices = useNotices();
  const configs = useLoaded(() => listProvisioned(name), name, INTERVAL);
  const [selected, setSelected] = useState<string>();
  const [dialog, setDialog] = useState<'add' | 'edit'>();
  const chosen = configs.value?.find((item) => qualifierOf(item) === selected);
  const save = async (qualifier: string, count: number) => {
    await putProvisioned(name, qualifier, count);
    setDialog(undefined);
    await configs.reload();
  };
  const remove = async (qualifier: string) => {
    try {
      await deleteProvisioned(name, qualifier);
      notices.done(`Nothing is provisioned for ${qualifier} any more.`);
      await configs.reload();
    } catch (problem) {
      notices.failed(`What is provisioned for ${qualifier} stays`, problem);
    }
  };
  return (
    <>
      <Table
        variant="container"
        loading={configs.loading && configs.value === undefined}
        items={configs.value ?? []}
        trackBy="FunctionArn"
        selectionType="single"
        selectedItems={chosen ? [chosen] : []}
        onSelectionChange={({ detail }) => setSelected(detail.selectedItems.map(qualifierOf)[0])}
        ariaLabels={{
          tableLabel: 'Provisioned concurrency',
          selectionGroupLabel: 'Provisioned concurrency of',
          itemSelectionLabel: (_, item) => `Select what is provisioned for ${qualifierOf(item)}`,
        }}
        empty={configs.error === undefined ? <Box textAlign="center">Nothing is provisioned.</Box> : <Problem error={configs.error} retry={() => void configs.reload()} />}
        header={
          <Header
            variant="h2"
            counter={`(${configs.value?.length ?? 0})`}
            description="Environments that are initialised before anybody asks"
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button disabled={!chosen} onClick={() => setDialog('edit')}>Edit provisioned</Button>
                <Button disabled={!chosen} onClick={() => chosen && void remove(qualifierOf(chosen))}>Remove provisioned</Button>
                <Button onClick={() => setDialog('add')}>Add provisioned</Button>
              </SpaceBetween>
            }
          >
            Provisioned concurrency
          </Header>
        }
        columnDefinitions={[
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

interface Dialog {
  name: string;
  former: Provisioned | undefined;
  close: () => void;
  save: (qualifier: string, count: number) => Promise<void>;
}

function Edit({ name, former, close, save }: Dialog) {
  const versions = useLoaded(() => listVersions(name), name);
  const aliases = useLoaded(() => listAliases(name), name);
  const [qualifier, setQualifier] = useState(former && qualifierOf(former));
  const [count, setCount] = useState(String(former?.RequestedProvisionedConcurrentExecutions ?? 1));
  const [error, setError] = useState<unknown>(undefined);
  const options = [
    ...(aliases.value ?? []).map(({ Name: value, FunctionVersion: version }) => ({ value, label: value, description: `Alias of version ${version}` })),
    ...(versions.value ?? []).map(({ Version: value, Description: description }) => ({ value, label: value, description })).filter(({ value }) => value !== LATEST).reverse(),
  ];
  return (
    <Modal
      visible
      onDismiss={close}
      header={former ? `Provisioned concurrency of ${qualifierOf(former)}` : 'Add provisioned concurrency'}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={close}>Cancel</Button>
            <Button variant="primary" disabled={qualifier === undefined || !/^\d+$/.test(count)} onClick={() => qualifier !== undefined && void save(qualifier, Number(count)).catch(setError)}>Save</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
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
        <FormField label="Environments" errorText={error === undefined ? undefined : said(error)}>
          <Input type="number" value={count} onChange={({ detail }) => setCount(detail.value)} />
        </FormField>
      </SpaceBetween>
    </Modal>
  );
}
