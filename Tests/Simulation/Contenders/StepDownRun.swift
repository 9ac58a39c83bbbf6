import QQCore

/// A process `qq step-down NAME`: reads who leads, and asks it to step down, or makes it.
enum StepDownRun {
    static func begin(
        _ process: SimProcess, _ coordinator: any Campaigning, _ identity: String, byForce: Bool, times: LeaseTimes
    ) {
        guard let steppingDown = coordinator as? any SteppingDown else { return process.end() }
        let world = process.world
        let pause = process.random.spread(.milliseconds(10)...(times.ttl.nanoseconds * 4))
        process.start {
            try? await process.clock.sleep(for: .nanoseconds(pause))
            if let state = try? await coordinator.read(Trial.election), state.isLed, !process.isDead {
                world.note(byForce ? "makes the leader step down" : "asks the leader to step down", process)
                if case .outlast(let outlasting)? = try? await steppingDown.askToStepDown(state, by: identity, byForce: byForce) {
                    world.note("outlasts the leader for @1", process, outlasting.duration.nanoseconds)
                    _ = try? await outlasting.run { _ in }
                }
            }
            process.post { process.end() }
        }
    }
}
