import QQCore
import QQEtcd
import QQGRPC
import Support

/// All watches of a process over one stream, which is opened again at another member when it ends: `Watches` with its real `WatchTable`, on a `Pipe`.
final class EtcdWatchesModel: @unchecked Sendable {
    // Used on the world's thread only.
    private struct Open {
        var index: Int
        var pipe: Pipe
        var openedAt: BootInstant
        var heardAt: BootInstant
        var answer: FirstAnswer<Result<Void, EtcdFailure>>
        var hasAnswered = false
    }

    private static let openTime: Duration = .seconds(5)
    private static let pause: Duration = .milliseconds(100)
    /// gRPC's pings on an idle connection, and how long their answers may take.
    private static let pingInterval: Duration = .seconds(10)
    private static let pingPatience: Duration = .seconds(3)

    private unowned let client: EtcdClientModel
    let process: SimProcess
    private unowned let cluster: EtcdClusterModel
    private var table = WatchTable()
    private var open: Open?
    private var isOpening = false
    private var generation: UInt64 = 0
    private var readers: [WatchTable.Subscription: AsyncStream<EtcdWatch.Event>.Continuation] = [:]

    init(_ client: EtcdClientModel) {
        self.client = client
        process = client.process
        cluster = client.cluster
    }

    func watch(_ keys: [EtcdKeys], from revision: Int64) -> EtcdWatch {
        let (events, reader) = AsyncStream<EtcdWatch.Event>.makeStream(bufferingPolicy: .bufferingOldest(1_025))
        let (subscription, actions) = table.subscribe(keys, from: revision, isOpen: open != nil)
        readers[subscription] = reader
        send(actions)
        reader.onTermination = { [weak self] _ in self?.unsubscribe(subscription) }
        openIfNeeded(after: nil)
        return EtcdWatch(events)
    }

    private func unsubscribe(_ subscription: WatchTable.Subscription) {
        readers[subscription] = nil
        let actions = table.unsubscribe(subscription, isOpen: open != nil)
        send(actions)
    }

    /// Carries out what a table asks for: requests first, as the real one does.
    private func send(_ actions: [WatchTable.Action]) {
        guard let pipe = open?.pipe else { return }
        for action in actions {
            if case .send(let request) = action { pipe.sendToServer { [cluster] in cluster.watch(request, pipe) } }
        }
    }

    private func deliver(_ actions: [WatchTable.Action]) {
        for action in actions {
            switch action {
            case .send, .logIn: break
            case .deliver(let event, let subscription): readers[subscription]?.yield(event)
            case .end(let event, let subscription):
                guard let reader = readers.removeValue(forKey: subscription) else { continue }
                reader.yield(event)
                reader.finish()
            }
        }
    }

    // MARK: The stream

    private func openIfNeeded(after loss: (index: Int, openedAt: BootInstant)?) {
        guard !process.isDead, open == nil, !isOpening, !table.isEmpty else { return }
        isOpening = true
        process.start { [weak self] in
            guard let self else { return }
            if let loss, process.clock.now() < loss.openedAt + .seconds(1) { try? await process.clock.sleep(for: Self.pause) }
            await open(first: loss.map { ($0.index + 1) % self.client.count } ?? client.preferred)
        }
    }

    private func open(first: Int) async {
        var failure: EtcdFailure?
        do throws(EtcdFailure) {
            try await client.attempt(isChange: false, first: first, by: process.clock.now() + Self.openTime) {
                (index, deadline) throws(EtcdFailure) in try await self.open(at: index, until: deadline)
            }
        } catch { failure = error }
        isOpening = false
        if process.isDead { return }
        if let failure {
            let actions = table.failed(failure)
            deliver(actions)
        }
        openIfNeeded(after: nil)
    }

    private func open(at index: Int, until deadline: BootInstant) async throws(EtcdFailure) {
        guard !table.isEmpty, !process.isDead else { return }
        let (answer, now) = (FirstAnswer<Result<Void, EtcdFailure>>(), process.clock.now())
        generation += 1
        let number = generation
        let pipe = Pipe(process, cluster.hosts[index])
        pipe.onBreak = { [weak self] in
            self?.ended(GRPCFailure(.unavailable, "the connection is lost", at: "", wasSent: true, isAnswer: false), number)
        }
        open = Open(index: index, pipe: pipe, openedAt: now, heardAt: now, answer: answer)
        pipe.sendToServer { [cluster] in cluster.openWatches(index, pipe, self, number) }
        let requests = table.opened()
        send(requests)
        let late = EtcdFailure(.unavailable, "no answer in time", at: cluster.hosts[index].name, wasSent: true)
        process.at(deadline) { answer.give(.failure(late)) }
        let end = Result<Void, EtcdFailure>.failure(EtcdFailure(.cancelled, "interrupted"))
        let outcome = await withTaskCancellationHandler {
            await answer.wait()
        } onCancel: {
            answer.give(end)
        }
        if case .failure(let failure) = outcome {
            if generation == number { cut() }
            throw failure
        }
        client.answered(index)
        ping(number)
    }

    func received(_ response: Etcdserverpb_WatchResponse, _ number: UInt64) {
        guard generation == number, let heard = open else { return }
        open?.heardAt = process.clock.now()
        let actions = table.received(response, at: cluster.hosts[heard.index].name)
        send(actions)
        if !heard.hasAnswered {
            open?.hasAnswered = true
            heard.answer.give(.success(()))
        }
        deliver(actions)
    }

    /// The server has ended the stream.
    func ended(_ error: EtcdServerError, _ number: UInt64) { ended(GRPCFailure(error, at: ""), number) }

    private func ended(_ failure: GRPCFailure, _ number: UInt64) {
        guard generation == number, let lost = open else { return }
        open = nil
        lost.pipe.close()
        if !failure.isAnswer { client.failed(lost.index, since: lost.hasAnswered ? process.clock.now() : lost.openedAt) }
        lost.answer.give(.failure(EtcdFailure(failure)))
        if lost.hasAnswered { openIfNeeded(after: (lost.index, lost.openedAt)) }
    }

    /// Closes the stream.
    private func cut() {
        open?.pipe.onBreak = {}
        open?.pipe.close()
        open = nil
        generation += 1
    }

    /// Ends a stream at a member that has not answered a call, and nothing on the stream since that began. The watches go on elsewhere.
    func isSilent(_ index: Int, since began: BootInstant) {
        guard let open, open.index == index, open.hasAnswered, open.heardAt < began else { return }
        cut()
        process.post { [weak self] in self?.openIfNeeded(after: nil) }
    }

    /// Pings the member now and then, and takes the connection for lost if that is not answered.
    private func ping(_ number: UInt64) {
        process.at(process.clock.now() + Self.pingInterval) { [weak self] in
            guard let self, generation == number, let pipe = open?.pipe else { return }
            var isAnswered = false
            pipe.sendToServer { pipe.sendToProcess { isAnswered = true } }
            process.at(process.clock.now() + Self.pingPatience) { [weak self] in
                guard let self, generation == number else { return }
                if isAnswered { return ping(number) }
                ended(GRPCFailure(.unavailable, "no answer to a ping", at: "", wasSent: true, isAnswer: false), number)
            }
        }
    }
}
