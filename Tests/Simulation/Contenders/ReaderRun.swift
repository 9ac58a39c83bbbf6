import QQCore

/// A process `qq watch NAME`, with a `qq status NAME` before and after. It must change nothing.
enum ReaderRun {
    static func begin(_ process: SimProcess, _ names: [String], _ coordinator: any Campaigning, times: LeaseTimes) {
        process.isReader = true
        let world = process.world
        let end = process.clock.now() + .nanoseconds(process.random.spread(.milliseconds(10)...(times.ttl.nanoseconds * 8)))
        process.start {
            for name in names { _ = try? await coordinator.read(name) }
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    _ = try? await coordinator.follow(names, on: process.clock, pause: .seconds(1)) { _ in
                    } take: { (state: ElectionState) -> Bool? in
                        world.note(state.isLed ? "sees a leader" : "sees no leader", process)
                        return nil
                    }
                }
                group.addTask { try? await process.clock.sleep(until: end) }
                await group.next()
                group.cancelAll()
            }
            for name in names { _ = try? await coordinator.read(name) }
            process.post { process.end() }
        }
    }
}
