// All functions of the region: found, looked at, deleted.

import { useCollection } from '@cloudscape-design/collection-hooks';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Link from '@cloudscape-design/components/link';
import Pagination from '@cloudscape-design/components/pagination';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import TextFilter from '@cloudscape-design/components/text-filter';
import { useState } from 'react';

import { deleteFunction } from '../client/lambda';
import { region } from '../client/session';
import { useNotices } from '../notices';
import { ConfirmDelete } from '../parts/confirm_delete';
import { ago, bytes, moment } from '../parts/numbers';
import { Problem } from '../parts/problem';
import { dropDrafts } from '../package/draft';
import { follow, to } from '../router';
import { forget, useFunctionList } from './function_list';
import { ListedState } from './listed_state';

const PAGE = 50;

export default function Functions() {
  const [turn, setTurn] = useState(0);
  const [deleting, setDeleting] = useState(false);
  const notices = useNotices();
  const { items: functions, reading, error } = useFunctionList(turn);
  const { items, filteredItemsCount, collectionProps, filterProps, paginationProps, actions } = useCollection(functions, {
    filtering: {
      empty: reading ? undefined : <Empty />,
      noMatch: <Box textAlign="center" padding="l">{reading ? 'Of those that are read so far no function matches.' : 'No function matches.'}</Box>,
      filteringFunction: (item, text) => item.words.includes(text.trim().toLowerCase()),
    },
    pagination: { pageSize: PAGE },
    sorting: { defaultState: { sortingColumn: { sortingField: 'FunctionName' } } },
    selection: { trackBy: 'FunctionName' },
  });
  const selected = collectionProps.selectedItems ?? [];

  const remove = async () => {
    const gone = new Set<string>();
    for (const { FunctionName: name } of selected) {
      try {
        await deleteFunction(name);
        dropDrafts(name);
        gone.add(name);
        notices.done(`Deleted ${name}.`);
      } catch (problem) {
        notices.failed(`${name} is not deleted`, problem);
      }
    }
    forget(gone);
    actions.setSelectedItems([]);
    setDeleting(false);
    setTurn(turn + 1);
  };

  return (
    <SpaceBetween size="m">
      <Problem error={error} retry={() => setTurn(turn + 1)} header="The functions cannot be listed" />
      <Table
        {...collectionProps}
        variant="full-page"
        stickyHeader
        items={items}
        loading={reading && functions.length === 0}
        loadingText="Asking for functions"
        trackBy="FunctionName"
        selectionType="multi"
        ariaLabels={{
          tableLabel: 'Functions',
          selectionGroupLabel: 'Selected functions',
          allItemsSelectionLabel: () => 'Select all functions of this page',
          itemSelectionLabel: (_, item) => `Select ${item.FunctionName}`,
        }}
        header={
          <Header
            variant="awsui-h1-sticky"
            counter={`(${selected.length ? `${selected.length}/` : ''}${functions.length}${reading ? '+' : ''})`}
            description={`In ${region()}`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel="Read again" onClick={() => setTurn(turn + 1)} />
                <Button disabled={selected.length === 0} onClick={() => setDeleting(true)}>Delete</Button>
                <Button variant="primary" href="#/create" onFollow={follow}>Create function</Button>
              </SpaceBetween>
            }
          >
            Functions
          </Header>
        }
        filter={
          <TextFilter
            {...filterProps}
            filteringAriaLabel="Find functions"
            filteringPlaceholder="Name, description or runtime"
            countText={`${filteredItemsCount ?? 0} found${reading ? ' so far' : ''}`}
          />
        }
        pagination={<Pagination {...paginationProps} />}
        columnDefinitions={[
          {
            id: 'name', header: 'Name', sortingField: 'FunctionName', isRowHeader: true,
            cell: (item) => <Link href={to('functions', item.FunctionName)} onFollow={follow}>{item.FunctionName}</Link>,
          },
          { id: 'description', header: 'Description', sortingField: 'Description', maxWidth: 260, cell: (item) => <span title={item.Description}>{item.Description || '–'}</span> },
          { id: 'runtime', header: 'Runtime', sortingField: 'Runtime', cell: (item) => item.Runtime },
          { id: 'memory', header: 'Memory', sortingField: 'MemorySize', cell: (item) => `${item.MemorySize} MB` },
          { id: 'size', header: 'Code', sortingField: 'CodeSize', cell: (item) => bytes(item.CodeSize) },
          { id: 'state', header: 'State', cell: (item) => <ListedState item={item} /> },
          {
            id: 'modified', header: 'Last modified', sortingField: 'LastModified',
            cell: (item) => <span title={item.LastModified}>{ago(moment(item.LastModified))}</span>,
          },
        ]}
      />
      {deleting && (
        <ConfirmDelete
          what={selected.length === 1 ? `the function ${selected[0]?.FunctionName ?? ''}` : `${selected.length} functions`}
          consequence="Their code, saved test events and waiting events go with them."
          close={() => setDeleting(false)}
          confirm={remove}
        />
      )}
    </SpaceBetween>
  );
}

function Empty() {
  return (
    <Box textAlign="center" padding="l">
      <SpaceBetween size="s">
        <b>No functions yet</b>
        <Button href="#/create" onFollow={follow}>Create function</Button>
      </SpaceBetween>
    </Box>
  );
}
