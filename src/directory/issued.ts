import { deleteLink, withdrawIssued, type findOpenLink } from './issued-queries.js'
import type { Edit } from './scope.js'
import { refuseForeignSysAdmin } from './users.js'

/** Withdraws a link to a first password. Throws `sysadmin_required` for a SysAdmin's link. */
export async function withdrawFirstAccess(
  { tx, record, bySysAdmin }: Edit,
  link: NonNullable<Awaited<ReturnType<typeof findOpenLink>>>,
): Promise<void> {
  refuseForeignSysAdmin({ isSysAdmin: bySysAdmin }, link)
  await deleteLink(tx, link.id)
  await record({
    action: 'first_access_withdrawn',
    subject: `user:${link.userId}`,
    before: { issuedBy: link.issuedBy, expiresAt: link.expiresAt },
  })
}

/** Withdraws all credentials that an admin issued, and returns how many. A SysAdmin's only if a SysAdmin asks. */
export async function withdrawAllIssued(
  { tx, record, bySysAdmin }: Edit,
  issuedBy: string,
): ReturnType<typeof withdrawIssued> {
  const withdrawn = await withdrawIssued(tx, issuedBy, { alsoOfSysAdmins: bySysAdmin })
  await record({ action: 'issued_withdrawn', subject: `user:${issuedBy}`, before: withdrawn })
  return withdrawn
}
