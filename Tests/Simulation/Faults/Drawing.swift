import Glibc
import QQCore

extension Schedule {
    /// Draws who contends, what goes wrong, and when.
    public static func draw(seed: UInt64, for system: SimulatedSystem) -> Schedule {
        var random = Generator(seed: seed, stream: World.Stream.schedule.rawValue << 32)
        let ttl = random.element(system.ttls) ?? .seconds(15)
        let killAfter = random.chance(700_000) ? min(ttl / 3, .seconds(10)) : .nanoseconds(random.within(0...(ttl.nanoseconds / 2)))
        let times = LeaseTimes(ttl: ttl, renewEvery: ttl / 3, killAfter: min(killAfter, ttl * 6 / 10), retry: system.retry)
        var schedule = Schedule(
            seed: seed, times: times, contenders: [],
            hostCount: random.chance(250_000) ? 1 : Int(random.within(min(system.mostHosts, 2)...max(system.mostHosts, 1))), faults: [],
            end: 0)
        if system.hasSlots, random.chance(200_000) { schedule.slots = Int(random.within(1...3)) }
        schedule.drawContenders(&random, system)
        schedule.drawFaults(&random, system)
        return schedule
    }

    private mutating func drawContenders(_ random: inout Generator, _ system: SimulatedSystem) {
        let count = random.chance(100_000) ? 1 : Int(random.within(2...5))
        let isSpread = random.chance(500_000)
        for number in 0..<count {
            var kind = ContenderPlan.Kind.guarded
            // The first one waits for the election: somebody has to lead.
            if number > 0 {
                switch random.below(100) {
                case 0..<55: kind = .guarded
                case 55..<70: kind = .guardedTry
                case 70..<82: kind = .keepalive
                case 82..<87: kind = .reader
                case 87..<92: kind = random.element(system.stepDowns).map { .stepDown(byForce: $0 == .byForce) } ?? .guarded
                default: kind = system.peers.isEmpty ? .guarded : .peer(Int(random.below(Int64(system.peers.count))))
                }
            }
            let longest = random.chance(500_000) ? Nanoseconds.milliseconds(200) : times.ttl.nanoseconds
            contenders.append(
                ContenderPlan(
                    kind: kind, host: isSpread ? number % hostCount : Int(random.below(Int64(hostCount))),
                    keepsIdentity: system.alwaysKeepsIdentity || (system.canKeepIdentity && random.chance(300_000)),
                    pause: .milliseconds(1)...longest))
        }
        guard system.canShareIdentity, count > 1, random.chance(300_000) else { return }
        for _ in 0..<random.within(2...3) { contenders[Int(random.below(Int64(count)))].identity = "shared" }
    }

    /// Faults come in bursts, with enough time between them for somebody to lead.
    private mutating func drawFaults(_ random: inout Generator, _ system: SimulatedSystem) {
        let ttl = times.ttl.nanoseconds
        let calm = liveness(of: system) + .seconds(2)
        let bursts = random.within(1...3)
        var now: Nanoseconds = random.below(ttl * 2)
        for _ in 0..<bursts {
            let length = random.spread(ttl...(ttl * 8))
            let count = random.chance(150_000) ? 0 : random.within(1...5)
            var end = now + length
            for _ in 0..<count {
                for fault in drawChain(&random, system, from: now + random.below(length)) {
                    faults.append(fault)
                    end = max(end, fault.end)
                }
            }
            now = end + (random.chance(700_000) ? calm : random.below(ttl * 2))
        }
        faults.sort { ($0.at, $0.length) < ($1.at, $1.length) }
        end = max(now, (faults.map(\.end).max() ?? 0) + calm) + .seconds(1)
    }

    /// Who and what is hit by the faults of a chain.
    private struct Target {
        var contender: Int
        var host: Int
        var server: Int
    }

    /// One fault, or a few that hit the same ones: each begins while the one before it lasts, as it ends, or soon after it began. Much of what goes wrong takes two,
    /// such as answers that are slow and then do not come.
    private func drawChain(_ random: inout Generator, _ system: SimulatedSystem, from begin: Nanoseconds) -> [Fault] {
        let ttl = times.ttl.nanoseconds
        var target = Target(
            contender: Int(random.below(Int64(contenders.count))), host: Int(random.below(Int64(hostCount))), server: Int(random.below(16)))
        if random.chance(500_000) {
            (target.contender, target.host) = (Fault.leader, Fault.leader)
        } else if random.chance(500_000) {
            target.host = contenders[target.contender].host
        }
        if random.chance(500_000) { target.server = Fault.every }
        var chain: [Fault] = []
        var at = begin
        repeat {
            guard var fault = drawFault(&random, system, target) else { continue }
            fault.at = at
            chain.append(fault)
            switch random.below(3) {
            case 0: at = fault.end
            case 1: at += random.below(max(fault.length, 1))
            default: at += random.spread(.milliseconds(1)...ttl)
            }
        } while chain.count < 4 && random.chance(450_000)
        return chain
    }

    private func drawFault(_ random: inout Generator, _ system: SimulatedSystem, _ target: Target) -> Fault? {
        let ttl = times.ttl.nanoseconds
        let special = system.faults.reduce(0) { $0 + $1.weight }
        // Half of them about as long as a lease.
        var length = random.chance(500_000) ? random.spread(.milliseconds(1)...(ttl * 3)) : random.within(ttl / 4...ttl * 2)
        let (contender, host) = (target.contender, target.host)
        // A server that is to be stopped is one.
        let server = target.server == Fault.every ? Int(random.below(16)) : target.server
        var at = random.below(248 + special)
        func isDrawn(_ weight: Int64) -> Bool {
            at -= weight
            return at < 0
        }
        if isDrawn(15) { return Fault(.kill(contender), at: 0) }
        if isDrawn(10) {
            return Fault(.signal(contender, random.element([SIGTERM, SIGTERM, SIGTERM, SIGINT, SIGHUP, SIGUSR1]) ?? SIGTERM), at: 0)
        }
        if isDrawn(3) { return Fault(.endFront(contender), at: 0) }
        if isDrawn(20) { return Fault(.pause(contender), at: 0, length: length) }
        if isDrawn(15) { return Fault(.killGuardian(contender), at: 0) }
        if isDrawn(15) { return Fault(.pauseGuardian(contender), at: 0, length: length) }
        if isDrawn(8) { return Fault(.pauseBoth(contender), at: 0, length: length) }
        if isDrawn(7) { return Fault(.killBoth(contender), at: 0) }
        if isDrawn(15) {
            let chance = random.spread(500...30_000)
            return Fault(.stutter(contender, chance: chance, longest: random.spread(.milliseconds(1)...ttl)), at: 0, length: ttl * 2)
        }
        if isDrawn(10) {
            let chance = random.spread(10_000...500_000)
            return Fault(
                .stutterGuardian(contender, chance: chance, longest: random.spread(.milliseconds(1)...ttl)), at: 0, length: ttl * 2)
        }
        if isDrawn(10) { return Fault(.suspend(host), at: 0, length: length) }
        if isDrawn(5) { return Fault(.pauseMachine(host, setsWall: random.chance(700_000)), at: 0, length: length) }
        if isDrawn(5) {
            let step = random.spread(.milliseconds(1)...(.seconds(100_000)))
            return Fault(.setWall(host, by: random.chance(500_000) ? step : -step), at: 0)
        }
        if isDrawn(40) {
            let direction = Fault.Direction.allCases[Int(random.below(3))]
            guard system.hasNetwork else { return nil }
            return Fault(.cut(host, target.server, direction), at: 0, length: length)
        }
        if isDrawn(30) {
            // Requests are carried out at once, and their answers come late; the other way round, and both, are rarer.
            let direction: Fault.Direction = random.chance(600_000) ? .fromServer : random.chance(500_000) ? .toServer : .both
            let delay = random.spread(ttl / 64...ttl)
            guard system.hasNetwork else { return nil }
            return Fault(.delay(host, target.server, direction, by: delay), at: 0, length: length)
        }
        if isDrawn(20) {
            guard system.hasNetwork else { return nil }
            return Fault(
                .worsen(
                    host, target.server, loss: random.spread(1_000...500_000),
                    repeats: random.chance(500_000) ? random.spread(1_000...300_000) : 0,
                    slowness: random.chance(600_000) ? random.spread(.milliseconds(1)...(ttl / 2)) : 0), at: 0, length: length)
        }
        if isDrawn(12) {
            length = random.spread(.milliseconds(1)...(.seconds(10)))
            return system.knowsServerRestart ? Fault(.restartServer(server), at: 0, length: length) : nil
        }
        if isDrawn(8) { return system.knowsServerPause ? Fault(.pauseServer(server), at: 0, length: length) : nil }
        for (index, fault) in system.faults.enumerated() where isDrawn(fault.weight) {
            return Fault(
                .system(index, argument: random.next()), at: 0,
                length: fault.longest > 0 ? random.spread(.milliseconds(1)...fault.longest) : 0)
        }
        return nil
    }
}
