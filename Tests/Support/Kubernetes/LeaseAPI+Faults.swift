import QQCore

extension LeaseAPI {
    /// Whether a write that gets a bad answer is carried out.
    public enum Application: Sendable, Hashable {
        case no
        case yes
        /// After this time, when `tick` is called, as network servers do; nil for when `LeaseStore.applyPending` is called. The
        /// write is checked then, so that it can come too late.
        case later(Duration?)
    }

    /// A fault of a call.
    public enum Fault: Sendable {
        /// 504 as the server answers at its time limit.
        case timeout(applied: Application = .no, after: Duration = .zero)
        /// 500 `rpc error: code = Unavailable`.
        case unavailable(applied: Application = .no, after: Duration = .zero)
        /// Another status with this message, as a Status object.
        case status(Int, reason: String = "", message: String, applied: Application = .no)
        /// 409 Conflict for a write that would have been fine.
        case conflict
        /// 429 in plain text. Comes before any work.
        case tooManyRequests(retryAfter: Int? = 1)
        /// 410: as ERROR event of a watch, which then ends, and as status of all else.
        case expired
        /// 401.
        case unauthorized
        /// The connection is closed without an answer.
        case closed(applied: Application = .no, after: Duration = .zero)
        /// No answer ever comes, and the connection stays.
        case noAnswer(applied: Application = .no)
        /// Carried out immediately, answered after this time.
        case slow(Duration)
        /// A watch that opens and never sends an event.
        case silentWatch
        /// A watch that works, and ends in order after this time (when `tick` is called).
        case shortWatch(Duration)
        /// A watch that works, and breaks off after this time (when `tick` is called).
        case brokenWatch(Duration)
    }

    /// The calls that get a fault.
    public struct FaultRule: Sendable {
        public var verbs: Set<Verb>
        public var name: String?
        public var user: String?
        /// Number of matching calls that are answered normally first.
        public var skip = 0
        /// Number of calls that get the fault; nil for all.
        public var times: Int?
        public var fault: Fault
    }

    /// Lets calls of `verbs` go wrong.
    /// - Parameters:
    ///   - name: only of this lease; nil for all.
    ///   - user: only by this user; nil for all.
    ///   - skip: number of matching calls that are answered normally first.
    ///   - times: number of calls that get the fault; nil for all until `clearFaults`.
    public func fail(
        _ verbs: Set<Verb>, name: String? = nil, user: String? = nil, skip: Int = 0, times: Int? = 1, with fault: Fault
    ) {
        state.withLock { $0.faults.append(FaultRule(verbs: verbs, name: name, user: user, skip: skip, times: times, fault: fault)) }
    }

    public func clearFaults() { state.withLock { $0.faults = [] } }

    /// Takes the fault for a call, if there is one.
    func takeFault(_ call: Attributes, _ user: User) -> Fault? {
        guard let verb = call.verb else { return nil }
        return state.withLock { state in
            for index in state.faults.indices {
                let rule = state.faults[index]
                guard rule.verbs.contains(verb), rule.name ?? call.name == call.name, rule.user ?? user.name == user.name else { continue }
                if rule.skip > 0 {
                    state.faults[index].skip -= 1
                    continue
                }
                if let times = rule.times {
                    if times <= 1 { state.faults.remove(at: index) } else { state.faults[index].times = times - 1 }
                }
                return rule.fault
            }
            return nil
        }
    }

    /// Carries out a call with a fault.
    func suffer(_ fault: Fault, _ request: Request, _ call: Attributes, _ user: User) -> Outcome {
        switch fault {
        case .timeout(let applied, let after):
            apply(applied, request, call, user)
            return .answer(Self.timedOut(after: after))
        case .unavailable(let applied, let after):
            apply(applied, request, call, user)
            var status = APIStatus.unavailable
            status.after = after
            return .answer(Self.answer(status))
        case .status(let code, let reason, let message, let applied):
            apply(applied, request, call, user)
            return .answer(Self.answer(APIStatus(code: code, reason: reason, message: message)))
        case .conflict: return .answer(Self.answer(.conflict(call.name)))
        case .tooManyRequests(let seconds): return .answer(Self.tooManyRequests(seconds))
        case .expired:
            guard call.verb == .watch else { return .answer(Self.answer(.listTooOld)) }
            let watch = Watch()
            watch.push(Self.event("ERROR", APIStatus.expired("too old resource version: 1 (\(store.version))").json))
            watch.end(.orderly)
            return .stream(watch, after: .zero)
        case .unauthorized: return .answer(Self.answer(.unauthorized))
        case .closed(let applied, let after):
            apply(applied, request, call, user)
            return .silence(.closed(after: after))
        case .noAnswer(let applied):
            apply(applied, request, call, user)
            return .silence(.forever)
        case .slow(let time):
            switch perform(request, call, user) {
            case .answer(var answer):
                answer.after += time
                return .answer(answer)
            case .stream(let watch, let after): return .stream(watch, after: after + time)
            case .silence(let silence): return .silence(silence)
            }
        case .silentWatch:
            let watch = Watch()
            cache.withLock { $0.mute.append(watch) }
            return .stream(watch, after: .zero)
        case .shortWatch(let time), .brokenWatch(let time):
            let outcome = perform(request, call, user)
            if let watch = outcome.watch {
                if case .brokenWatch = fault { watch.limit(store.now() + time, .broken) } else { watch.limit(store.now() + time, .orderly) }
            }
            return outcome
        }
    }

    private func apply(_ application: Application, _ request: Request, _ call: Attributes, _ user: User) {
        guard call.verb?.isWrite ?? false else { return }
        switch application {
        case .no: break
        case .yes: _ = perform(request, call, user)
        case .later(let time): postpone(request, call, user, due: time.map { store.now() + $0 })
        }
    }

    /// Leaves a write pending.
    func postpone(_ request: Request, _ call: Attributes, _ user: User, due: WallTime? = nil) {
        guard let verb = call.verb else { return }
        let write = LeaseStore.PendingWrite(verb: verb, key: LeaseStore.Key(call.namespace, call.name), due: due) { [self] in
            _ = perform(request, call, user)
        }
        store.state.withLock { $0.pending.append(write) }
    }
}
