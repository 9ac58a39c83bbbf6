/// Lets a fault happen in a world.
enum FaultRun {
    static func plan(_ fault: Fault, in trial: Trial) {
        let world = trial.world
        let lasts = fault.length > 0
        let counts = isDisturbing(fault, trial)
        world.at(fault.at) { [unowned trial] in
            if counts { world.checker.disturb(1) }
            let end = begin(fault, in: trial)
            guard lasts else {
                if counts { world.checker.disturb(-1) }
                return
            }
            world.after(fault.length) {
                end()
                if counts { world.checker.disturb(-1) }
            }
        }
    }

    private static func isDisturbing(_ fault: Fault, _ trial: Trial) -> Bool {
        guard case .system(let index, _) = fault.what, trial.system.faults.indices.contains(index) else { return true }
        return !trial.system.faults[index].isHarmless
    }

    private static func begin(_ fault: Fault, in trial: Trial) -> () -> Void {
        let world = trial.world
        if let number = fault.contender {
            guard let contender = trial.contender(number) else { return {} }
            return begin(fault, contender, world)
        }
        switch fault.what {
        case .suspend(let place):
            guard let host = host(place, trial) else { return {} }
            host.stop(countsTime: true)
            return { host.resume() }
        case .pauseMachine(let place, let setsWall):
            guard let host = host(place, trial) else { return {} }
            host.stop(countsTime: false)
            return {
                host.resume()
                if setsWall, !host.isStopped { host.setWall(by: fault.length) }
            }
        case .setWall(let place, let step):
            host(place, trial)?.setWall(by: step)
            return {}
        case .cut(let place, let server, let direction):
            guard let here = host(place, trial) else { return {} }
            let ways = ways(direction, here, servers(server, trial))
            for (from, to) in ways { world.network.cut(from: from, to: to) }
            world.note(direction == .both ? "is cut off" : direction == .toServer ? "cannot send" : "cannot receive", host: here)
            return {
                for (from, to) in ways { world.network.heal(from: from, to: to) }
                world.note("is connected again", host: here)
            }
        case .delay(let place, let server, let direction, let delay):
            guard let here = host(place, trial) else { return {} }
            let ways = ways(direction, here, servers(server, trial))
            for (from, to) in ways { world.network.worsen(from: from, to: to, delay: delay) }
            world.note(
                direction == .both
                    ? "has a slow link: each message is late by @1"
                    : direction == .toServer ? "sends slowly: by @1" : "gets answers slowly: by @1", host: here, delay)
            return {
                for (from, to) in ways { world.network.worsen(from: from, to: to, delay: -delay) }
                world.note("has a fast link again", host: here)
            }
        case .worsen(let place, let server, let loss, let repeats, let slowness):
            guard let here = host(place, trial) else { return {} }
            let ways = ways(.both, here, servers(server, trial))
            world.note("has a bad link: #1 in a million are lost, and up to @2 late", host: here, loss, slowness)
            for (from, to) in ways { world.network.worsen(from: from, to: to, loss: loss, repeats: repeats, slowness: slowness) }
            return {
                for (from, to) in ways { world.network.worsen(from: from, to: to, loss: -loss, repeats: -repeats, slowness: -slowness) }
                world.note("has a good link again", host: here)
            }
        case .restartServer(let place):
            guard let host = host(place, trial.server.hosts), host.isUp else { return {} }
            world.note("its server ends", host: host)
            world.network.takeDown(host)
            return { [unowned trial] in
                world.note("its server starts", host: host)
                world.network.bringUp(host)
                trial.server.restarts(host)
            }
        case .pauseServer(let place):
            guard let host = host(place, trial.server.hosts) else { return {} }
            host.stop(countsTime: true)
            return { host.resume() }
        case .system(let index, let argument):
            guard trial.system.faults.indices.contains(index) else { return {} }
            world.note(trial.system.faults[index].words)
            trial.server.begin(index, argument: argument)
            return { [unowned trial] in trial.server.end(index, argument: argument) }
        default: return {}
        }
    }

    /// A machine of contenders.
    private static func host(_ place: Int, _ trial: Trial) -> Host? {
        place == Fault.leader ? trial.contender(place)?.host : host(place, trial.hosts)
    }

    private static func host(_ place: Int, _ hosts: [Host]) -> Host? { hosts.isEmpty ? nil : hosts[max(place, 0) % hosts.count] }

    private static func servers(_ place: Int, _ trial: Trial) -> [Host] {
        place == Fault.every ? trial.server.hosts : host(place, trial.server.hosts).map { [$0] } ?? []
    }

    private static func ways(_ direction: Fault.Direction, _ here: Host, _ servers: [Host]) -> [(Host, Host)] {
        servers.flatMap { there in
            switch direction {
            case .toServer: [(here, there)]
            case .fromServer: [(there, here)]
            case .both: [(here, there), (there, here)]
            }
        }
    }

    private static func begin(_ fault: Fault, _ contender: Contender, _ world: World) -> () -> Void {
        switch fault.what {
        case .kill: contender.kill()
        case .signal(_, let number): contender.signal(number)
        case .endFront: contender.guarded?.endFront()
        case .pause:
            guard let process = contender.process else { return {} }
            world.note("is stopped (SIGSTOP)", process)
            process.pause()
            return {
                if !process.isDead { world.note("goes on (SIGCONT)", process) }
                process.resume()
            }
        case .killGuardian:
            guard let guarded = contender.guarded, guarded.hasGuardian else { return {} }
            world.note("its guardian is killed", guarded.process)
            guarded.killGuardian()
        case .pauseGuardian:
            guard let guarded = contender.guarded, guarded.hasGuardian else { return {} }
            world.note("its guardian is stopped", guarded.process)
            guarded.pauseGuardian()
            return {
                world.note("its guardian goes on", guarded.process)
                guarded.resumeGuardian()
            }
        case .pauseBoth:
            guard let guarded = contender.guarded else { return {} }
            world.note("it and its guardian are stopped", guarded.process)
            guarded.process.pause()
            guarded.pauseGuardian()
            return {
                world.note("it and its guardian go on", guarded.process)
                guarded.process.resume()
                guarded.resumeGuardian()
            }
        case .killBoth:
            guard let guarded = contender.guarded else { return contender.kill }
            world.note("its guardian is killed, and then it", guarded.process)
            guarded.killGuardian()
            contender.kill()
        case .stutter(_, let chance, let longest):
            contender.stutter = SimProcess.Stutter(chance: chance, longest: longest)
            return { contender.stutter = nil }
        case .stutterGuardian(_, let chance, let longest):
            contender.guardianStutter = SimProcess.Stutter(chance: chance, longest: longest)
            return { contender.guardianStutter = nil }
        default: break
        }
        return {}
    }
}
