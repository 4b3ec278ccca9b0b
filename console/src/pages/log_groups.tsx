// The log groups of the region.

import { useCollection } from '@cloudscape-design/collection-hooks';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Link from '@cloudscape-design/components/link';
import Pagination from '@cloudscape-design/components/pagination';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import TextFilter from '@cloudscape-design/components/text-filter';

import { logGroups } from '../client/logs';
import { region } from '../client/session';
import { useLoaded } from '../load';
import { ago, bytes } from '../parts/numbers';
import { Problem } from '../parts/problem';
import { follow, to } from '../router';

export default function LogGroups() {
  const groups = useLoaded(logGroups, 'groups');
  const all = groups.value ?? [];
  const { items, collectionProps, filterProps, paginationProps, filteredItemsCount } = useCollection(all, {
    filtering: {
      empty: <Box textAlign="center">No log groups yet: one comes with the first line of a function.</Box>,
      noMatch: <Box textAlign="center">No log group matches.</Box>,
      fields: ['logGroupName'],
    },
    pagination: { pageSize: 50 },
    sorting: { defaultState: { sortingColumn: { sortingField: 'logGroupName' } } },
  });
  return (
    <SpaceBetween size="l">
      <Problem error={groups.error} retry={() => void groups.reload()} header="The log groups cannot be read" />
      <Table
        {...collectionProps}
        variant="full-page"
        items={items}
        loading={groups.loading}
        trackBy="logGroupName"
        ariaLabels={{ tableLabel: 'Log groups' }}
        filter={<TextFilter {...filterProps} filteringAriaLabel="Find log groups" filteringPlaceholder="Find log groups" countText={`${filteredItemsCount ?? 0} found`} />}
        pagination={<Pagination {...paginationProps} />}
        header={
          <Header
            variant="awsui-h1-sticky"
            counter={`(${all.length})`}
            description={`In ${region()}`}
            actions={<Button iconName="refresh" ariaLabel="Read again" onClick={() => void groups.reload()} />}
          >
            Log groups
          </Header>
        }
        columnDefinitions={[
          {
            id: 'name', header: 'Log group', sortingField: 'logGroupName', isRowHeader: true,
            cell: ({ logGroupName: name }) => <Link href={to('logs', name)} onFollow={follow}>{name}</Link>,
          },
          { id: 'retention', header: 'Retention', sortingField: 'retentionInDays', cell: (group) => retention(group.retentionInDays) },
          { id: 'size', header: 'Stored', sortingField: 'storedBytes', cell: (group) => bytes(group.storedBytes ?? 0) },
          { id: 'created', header: 'Created', sortingField: 'creationTime', cell: (group) => ago(group.creationTime) },
        ]}
      />
    </SpaceBetween>
  );
}

export function retention(days: number | undefined): string {
  if (days === undefined) return 'For ever';
  return `${days} ${days === 1 ? 'day' : 'days'}`;
}
