/** The OpenID providers by which people sign in. */
export const signInAuthorities = ['google', 'msft'] as const
export type SignInAuthority = (typeof signInAuthorities)[number]

/** Everything that proves who somebody is: `local` is a password or a secret of this gateway. */
export const authorities = ['local', ...signInAuthorities] as const
export type Authority = (typeof authorities)[number]

/** Returns whether a text names an authority. */
export const isAuthority = (text: unknown): text is Authority => authorities.some((one) => one === text)
