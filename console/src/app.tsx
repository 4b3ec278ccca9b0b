// The frame of every page: navigation, region, notices; which page is shown.

import AppLayoutToolbar from '@cloudscape-design/components/app-layout-toolbar';
import Box from '@cloudscape-design/components/box';
import BreadcrumbGroup, { type BreadcrumbGroupProps } from '@cloudscape-design/components/breadcrumb-group';
import SideNavigation from '@cloudscape-design/components/side-navigation';
import Spinner from '@cloudscape-design/components/spinner';
import TopNavigation from '@cloudscape-design/components/top-navigation';
import { lazy, type ReactNode, Suspense, useEffect, useState } from 'react';

import { onKeysWanted } from './client/request';
import { keepRegion, region, REGIONS } from './client/session';
import { choice, type Choice, choose } from './mode';
import { Notices } from './notices';
import { Failure } from './parts/failure';
import { KeysDialog } from './parts/keys_dialog';
import { follow, type Place, to, usePlace } from './router';

const Home = lazy(() => import('./pages/home'));
const Functions = lazy(() => import('./pages/functions'));
const CreateFunction = lazy(() => import('./pages/create_function'));
const Layers = lazy(() => import('./pages/layers'));
const MappingsPage = lazy(() => import('./pages/mappings'));
const LogGroups = lazy(() => import('./pages/log_groups'));
const LogGroupPage = lazy(() => import('./pages/log_group'));
const Topics = lazy(() => import('./pages/topics'));
const Queues = lazy(() => import('./pages/queues'));
const FunctionPage = lazy(() => import('./function/page'));

/** What the navigation leads to. */
const PAGES = [
  { word: 'functions', title: 'Functions' },
  { word: 'layers', title: 'Layers' },
  { word: 'mappings', title: 'Event source mappings' },
  { word: 'queues', title: 'Queues' },
  { word: 'topics', title: 'Topics' },
  { word: 'logs', title: 'Log groups' },
];

function page({ words, query }: Place): ReactNode {
  const [first, second, third] = words;
  switch (first) {
    case undefined:
      return <Home />;
    case 'functions':
      return second === undefined ? <Functions /> : <FunctionPage key={second} name={second} tab={third ?? 'code'} />;
    case 'layers':
      return <Layers />;
    case 'mappings':
      return <MappingsPage />;
    case 'queues':
      return <Queues />;
    case 'topics':
      return <Topics />;
    case 'logs':
      return second === undefined ? <LogGroups /> : <LogGroupPage key={second} name={second} />;
    case 'create':
      return <CreateFunction blueprint={query.get('blueprint')} />;
    default:
      return <Box padding="xxl">There is no such page.</Box>;
  }
}

/** Where a place is, from the first page on. */
function trail({ words }: Place): BreadcrumbGroupProps.Item[] {
  const [first, second] = words;
  const title = PAGES.find(({ word }) => word === (first === 'create' ? 'functions' : first))?.title;
  return [
    { text: 'Lambda', href: '#/' },
    { text: title ?? 'Overview', href: to(...(first === undefined ? [] : [first === 'create' ? 'functions' : first])) },
    ...(first === 'create' ? [{ text: 'Create function', href: to(first) }] : []),
    ...(second === undefined || first === undefined ? [] : [{ text: second, href: to(first, second) }]),
  ];
}

export function App() {
  const place = usePlace();
  const [asking, setAsking] = useState(false);
  const [mode, setMode] = useState(choice());
  const [narrow] = useState(() => matchMedia('(max-width: 688px)').matches);
  const [open, setOpen] = useState(!narrow);
  useEffect(() => onKeysWanted(() => setAsking(true)), []);
  useEffect(() => {
    const [first, second] = place.words;
    document.title = [second, first, 'lambkin'].filter(Boolean).join(' · ');
  }, [place]);
  return (
    <>
      <header className="top" id="top">
        <TopNavigation
          identity={{ href: '#/', logo: { src: '/console/lambkin.svg', alt: 'lambkin' } }}
          utilities={[
            {
              type: 'menu-dropdown', iconName: 'settings', ariaLabel: 'Appearance', title: 'Appearance',
              items: (['system', 'light', 'dark'] as const).map((id) => ({
                id, text: { system: 'As the system', light: 'Light', dark: 'Dark' }[id], itemType: 'checkbox' as const, checked: mode === id,
              })),
              onItemClick: ({ detail }) => {
                choose(detail.id as Choice);
                setMode(detail.id as Choice);
              },
            },
            {
              type: 'menu-dropdown', text: region(), ariaLabel: `Region ${region()}`, title: 'Region',
              items: REGIONS.map((id) => ({ id, text: id })),
              onItemClick: ({ detail }) => {
                keepRegion(detail.id);
                location.reload();
              },
            },
            { type: 'button', text: 'Keys', ariaLabel: 'Access keys', onClick: () => setAsking(true) },
          ]}
        />
      </header>
      <Notices>
        {(bar) => (
          <AppLayoutToolbar
            headerSelector="#top"
            notifications={bar}
            stickyNotifications
            toolsHide
            navigationOpen={open}
            onNavigationChange={({ detail }) => setOpen(detail.open)}
            navigationWidth={230}
            ariaLabels={{ navigation: 'Pages', navigationToggle: 'Open the pages', navigationClose: 'Close the pages', notifications: 'Notices' }}
            breadcrumbs={<BreadcrumbGroup ariaLabel="Where this is" onFollow={follow} items={trail(place)} />}
            navigation={
              <SideNavigation
                header={{ text: 'Lambda', href: '#/' }}
                activeHref={`#/${place.words[0] === 'create' ? 'functions' : (place.words[0] ?? '')}`}
                onFollow={(event) => {
                  follow(event);
                  if (narrow) setOpen(false);
                }}
                items={[{ type: 'link', text: 'Overview', href: '#/' }, ...PAGES.map(({ word, title }) => ({ type: 'link' as const, text: title, href: to(word) }))]}
              />
            }
            content={
              <Failure key={place.words.slice(0, 2).join('/')}>
                <Suspense fallback={<Box textAlign="center" padding="xxl"><Spinner size="large" /></Box>}>{page(place)}</Suspense>
              </Failure>
            }
          />
        )}
      </Notices>
      {asking && <KeysDialog close={() => setAsking(false)} />}
    </>
  );
}

