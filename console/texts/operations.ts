/** Of the pages for those who run the gateway. */
export const operations = {
  'nodes': ['Nodes', 'Knoten'],
  'nodes.hint': ['Gateway processes on this database. Each may answer from memory for as long as its lease lasts.', 'Gateway-Prozesse auf dieser Datenbank. Jeder darf aus dem Gedächtnis antworten, solange seine Lease gilt.'],
  'nodes.empty': ['No node has a lease', 'Kein Knoten hat eine Lease'],
  'nodes.empty.hint': ['With COHERENCE_LEASE_MS=0 nodes ask the database on each request and need none.', 'Mit COHERENCE_LEASE_MS=0 fragen die Knoten bei jeder Anfrage die Datenbank und brauchen keine.'],
  'node.address': ['Address', 'Adresse'],
  'node.process': ['Process', 'Prozess'],
  'node.lease': ['Lease', 'Lease'],
  'node.lag': ['Lag', 'Rückstand'],
  'node.renewed': ['Renewed', 'Erneuert'],
  'node.started': ['Started', 'Gestartet'],
  'node.this': ['answered this', 'antwortete hier'],
  'node.changes': ['{count} changes', '{count} Änderungen'],
} as const
