import QQGRPC
import Support

/// How a write ended at a node.
enum Written {
    case done(LockTable.Outcome)
    case refused(LockTable.Failure)
    case failed(RaftLockRefusal)
}

extension RaftLockServer {
    /// How long a write waits for a majority. It is carried out all the same once there is one.
    private static let majorityTimeout: Nanoseconds = .seconds(30)

    /// Carries out a write at a node, or has it wait.
    func write(_ command: LockTable.Command, on node: Int, _ answer: @escaping (Written) -> Void) {
        advance()
        guard leads(node) else {
            guard let named = leader(namedBy: node) else { return answer(.failed(.noLeader)) }
            return answer(.failed(.notLeader(named.id, named.number)))
        }
        switch nodes[node].wedge {
        case .refuses: return answer(.failed(.unexpected))
        case .hangs: return
        case nil: break
        }
        if wedgesOnMeeting, nodes[node].running > 0 {
            world.note("is wedged: two writes have met", host: nodes[node].host)
            nodes[node].wedge = .refuses
            return
        }
        nodes[node].running += 1
        let life = nodes[node].life
        let host = nodes[node].host
        let span =
            random.chance(20_000) ? random.spread(.milliseconds(1)...(.seconds(2))) : random.spread(.milliseconds(1)...(.milliseconds(20)))
        world.after(span) { [weak self] in
            host.run { [weak self] in
                guard let self, nodes[node].life == life, host.isUp else { return }
                nodes[node].running -= 1
                agree(command, on: node, answer)
            }
        }
    }

    private func agree(_ command: LockTable.Command, on node: Int, _ answer: @escaping (Written) -> Void) {
        advance()
        if canCommit(node), nodes[node].outdated == nil { return answer(commit(command)) }
        // The office was lost meanwhile.
        guard leads(node) else { return answer(.failed(.unexpected)) }
        var isAnswered = false
        let once: (Written) -> Void = { written in
            if isAnswered { return }
            isAnswered = true
            answer(written)
        }
        world.note("has a write wait for a majority", host: nodes[node].host)
        nodes[node].waiting.append(Waiting(command: command, answer: once))
        world.after(Self.majorityTimeout) { once(.failed(.timedOut)) }
    }

    /// Has the nodes agree on a command.
    func commit(_ command: LockTable.Command) -> Written {
        index += 1
        return changing { table -> Written in
            do throws(LockTable.Failure) { return .done(try table.apply(command, index: index, now: time)) } catch {
                return .refused(error)
            }
        }
    }
}
