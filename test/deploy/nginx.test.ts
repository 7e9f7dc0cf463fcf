import { startNginx } from '../support/nginx.js'
import { describeGatewayBehind } from './behind-a-proxy.js'

describeGatewayBehind('nginx', (nodes) => startNginx('gateway.conf', { nodes }))

// What the gateway serves beside the services that nginx asks it about; the demo's prefix is left to it here.
describeGatewayBehind('nginx, where it only asks about others', (nodes) => startNginx('auth-request.conf', { nodes, replacements: { 'location /api/crm {': 'location /elsewhere {' } }))
