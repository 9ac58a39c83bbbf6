import QQCore

/// The deputy of a killed `qq`, as `DeputyCommand.run` is: releases its term in a few tries, or ends with the lease.
enum DeputyModel {
    private static let retries = RetryPolicy(maximumRetries: 6, initial: .milliseconds(20), maximum: .seconds(1))

    static func begin(
        _ name: String, on host: Host, in world: World, _ grant: Grant, notBefore: BootInstant, end: BootInstant,
        _ make: (SimProcess) -> any Campaigning
    ) {
        guard notBefore < end else { return }
        let process = world.makeProcess(name, on: host)
        let coordinator = make(process)
        world.note("is the deputy: gives the lease up in the place of its qq", process)
        process.start {
            await release(grant.extended(to: end), by: coordinator, process, notBefore: notBefore, end: end)
            process.post { process.end() }
        }
    }

    private static func release(
        _ grant: Grant, by coordinator: any Campaigning, _ process: SimProcess, notBefore: BootInstant, end: BootInstant
    ) async {
        try? await process.clock.sleep(until: notBefore)
        var retry = 0
        while !process.isDead, process.clock.now() < end {
            do throws(CoordinationError) {
                _ = try await coordinator.release(grant)
                return
            } catch {
                retry += 1
                guard retries.allows(retry: retry, after: error) else { return }
                let pause = retries.pause(before: retry, random: process.random.fraction())
                guard (try? await process.clock.sleep(for: pause)) != nil else { return }
            }
        }
    }
}
