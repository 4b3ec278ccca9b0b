// Things of one kind, of which one may be chosen: found, sorted, paged. What is done with the chosen one stands in the head.

import { useCollection } from '@cloudscape-design/collection-hooks';
import Box from '@cloudscape-design/components/box';
import Header from '@cloudscape-design/components/header';
import Pagination from '@cloudscape-design/components/pagination';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table, { type TableProps } from '@cloudscape-design/components/table';
import TextFilter from '@cloudscape-design/components/text-filter';
import { type ReactNode, useState } from 'react';

import type { Loaded } from '../load';
import { Problem } from './problem';

const PAGE = 25;

export interface Choice<T> {
  loaded: Loaded<T[]>;
  all: T[];
  /** An item that is gone is not chosen any more. */
  chosen: T | undefined;
  choose: (key: string | undefined) => void;
  keyOf: (item: T) => string;
}

/** What there is, and which of it is chosen, by what `keyOf` knows it by. */
export function useChoice<T>(loaded: Loaded<T[]>, keyOf: (item: T) => string): Choice<T> {
  const [key, choose] = useState<string>();
  const all = loaded.value ?? [];
  return { loaded, all, chosen: all.find((item) => keyOf(item) === key), choose, keyOf };
}

interface Properties<T> {
  choice: Choice<T>;
  /** A page's own table can be searched, and is paged. */
  page?: boolean;
  title: string;
  description?: ReactNode;
  /** What one of them is, to a screen reader. */
  noun: string;
  /** Which one it is, to a screen reader. */
  nameOf: (item: T) => string;
  empty: string;
  columns: TableProps.ColumnDefinition<T>[];
  sortedBy?: string;
  actions: ReactNode;
}

export function ChosenTable<T>({ choice, page = false, title, description, noun, nameOf, empty, columns, sortedBy, actions }: Properties<T>) {
  const { loaded, all, chosen, choose, keyOf } = choice;
  const words = title.toLowerCase();
  const problem = <Problem error={loaded.error} retry={() => void loaded.reload()} header={`The ${words} cannot be read`} />;
  const { items, collectionProps, filterProps, paginationProps, filteredItemsCount } = useCollection(all, {
    filtering: {
      empty: loaded.error === undefined ? <Box textAlign="center">{empty}</Box> : problem,
      noMatch: <Box textAlign="center">Nothing matches.</Box>,
    },
    ...(page && { pagination: { pageSize: PAGE } }),
    sorting: sortedBy === undefined ? {} : { defaultState: { sortingColumn: { sortingField: sortedBy } } },
  });
  return (
    <SpaceBetween size="l">
      {all.length > 0 && loaded.error !== undefined && problem}
      <Table
        {...collectionProps}
        variant="container"
        items={items}
        loading={loaded.loading && loaded.value === undefined}
        trackBy={keyOf}
        selectionType="single"
        selectedItems={chosen === undefined ? [] : [chosen]}
        onSelectionChange={({ detail }) => choose(detail.selectedItems.map(keyOf)[0])}
        ariaLabels={{ tableLabel: title, selectionGroupLabel: noun, itemSelectionLabel: (_, item) => `Select ${nameOf(item)}` }}
        filter={page && <TextFilter {...filterProps} filteringAriaLabel={`Find ${words}`} filteringPlaceholder={`Find ${words}`} countText={`${filteredItemsCount ?? 0} found`} />}
        pagination={page && <Pagination {...paginationProps} />}
        header={
          <Header
            variant={page ? 'h1' : 'h2'}
            counter={`(${all.length})`}
            description={description}
            actions={actions}
          >
            {title}
          </Header>
        }
        columnDefinitions={columns}
      />
    </SpaceBetween>
  );
}
