/** Ends a part. */
type Stop = () => unknown

/** Receives the failure of a part that could not stop. */
export type ReportFailure = (part: string, error: unknown) => void

/** The parts of a program that were started, in order. They stop in the opposite order. */
export class Lifecycle {
  private readonly parts: { name: string; stop: Stop }[] = []
  private stopping: Promise<void> | undefined

  /** Starts a part and registers how to stop it. Returns the part; rejects as `start` does. */
  async start<Part>(
    name: string,
    start: () => Part | Promise<Part>,
    stop: (part: Part) => unknown,
  ): Promise<Part> {
    const part = await start()
    this.onStop(name, () => stop(part))
    return part
  }

  /** Registers what to do at the stop, before the parts that were started earlier stop. */
  onStop(name: string, stop: Stop): void {
    this.parts.push({ name, stop })
  }

  /**
   * Stops all parts, the last one first. A failure is reported and does not keep the others from stopping. A
   * second call returns the same promise.
   */
  stop(report: ReportFailure): Promise<void> {
    this.stopping ??= this.stopParts(report)
    return this.stopping
  }

  private async stopParts(report: ReportFailure): Promise<void> {
    for (let part = this.parts.pop(); part; part = this.parts.pop()) {
      try {
        await part.stop()
      } catch (error) {
        report(part.name, error)
      }
    }
  }
}
