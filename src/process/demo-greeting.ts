const acme = '00000000-0000-4000-8000-000000000101'

/** Returns the greeting of a demo: its URL, its logins and three commands to try. */
export function demoGreeting(url: string): string {
  return `
Mandate Gateway is ready: ${url}

Demo logins, password of everyone demo-password-1:
  root   SysAdmin             alice  admin of acme, viewer of globex      erin   member of nothing
  petra  PlatformAdmin        bob    viewer of acme                       dave   disabled

Try it (three lines to copy):
  curl -s -c /tmp/mandate.cookies -H 'Content-Type: application/json' -d '{"username":"alice","password":"demo-password-1"}' ${url}/auth/login
  curl -s -b /tmp/mandate.cookies -H 'X-Mandate-Id: ${acme}' ${url}/api/crm/contacts
  curl -s -b /tmp/mandate.cookies -H 'X-Mandate-Id: ${acme}' '${url}/auth/permissions?context=RESOURCE&item=crm.contacts'

`
}
