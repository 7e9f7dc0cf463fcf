import { Center, Loader } from '@mantine/core'

/** While a page is being loaded. */
export function Waiting() {
  return (
    <Center h={240}>
      <Loader />
    </Center>
  )
}
