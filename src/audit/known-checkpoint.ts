import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, readdir, rename } from 'node:fs/promises'
import path from 'node:path'
import { checkpointSchema, type Checkpoint } from './checkpoint.js'

/**
 * What this machine knows of the chain, outside the database: whoever rewrites all of that does not reach it
 * here.
 */
const fileName = 'checkpoint.json'

/**
 * The checkpoints kept in `directory`: the last one, and those that a chain in the database has contradicted.
 * Rejects for what is none.
 */
export async function readKnownCheckpoints(
  directory: string,
): Promise<{ last: Checkpoint | undefined; contradicted: Checkpoint[] }> {
  const names = await readdir(directory).catch((): string[] => [])
  const read = async (name: string) =>
    checkpointSchema.parse(JSON.parse(await readFile(path.join(directory, name), 'utf8')))
  return {
    last: names.includes(fileName) ? await read(fileName) : undefined,
    contradicted: await Promise.all(
      names.filter((name) => /^checkpoint-\d+-contradicted\.json$/.test(name)).map(read),
    ),
  }
}

/**
 * Keeps a checkpoint in `directory`: as the last one, or beside that as one that was contradicted. The file
 * is whole at any moment.
 */
export async function keepCheckpoint(
  directory: string,
  checkpoint: Checkpoint,
  contradicted = false,
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const file = path.join(
    directory,
    contradicted ? `checkpoint-${checkpoint.position}-contradicted.json` : fileName,
  )
  const part = `${file}.${randomUUID()}.part`
  const handle = await open(part, 'wx', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify(checkpoint, undefined, 2)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(part, file)
}
