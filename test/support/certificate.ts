import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/**
 * Makes a self-signed certificate of an elliptic curve with openssl, valid for 30 days.
 * @param files where the key and the certificate go
 * @param more further options of `openssl req`, such as `-addext`
 */
export async function makeCertificate(
  files: { key: string; certificate: string },
  subject = '/CN=localhost',
  ...more: string[]
): Promise<void> {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const out = ['-keyout', files.key, '-out', files.certificate]
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-days', '30', '-subj', subject],
    ...[...curve, ...out, ...more],
  ])
}
