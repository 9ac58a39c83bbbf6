import QQCore

/// Batches of hooks that run one after another, as `HookQueue` runs them: each takes its time, and can be ended.
final class HookModel {
    private let process: SimProcess
    private let ran: () -> Void
    private var waiting: [Nanoseconds] = []
    /// The number of the batch that runs.
    private var running = 0
    private var isRunning = false

    init(_ process: SimProcess, ran: @escaping () -> Void) {
        self.process = process
        self.ran = ran
    }

    func add(taking span: Nanoseconds) {
        waiting.append(span)
        if !isRunning { next() }
    }

    func end(withBatches: Bool) {
        if withBatches { for index in waiting.indices { waiting[index] = 0 } }
        guard isRunning else { return }
        running += 1
        process.post { [weak self] in self?.ended() }
    }

    private func next() {
        guard !waiting.isEmpty else { return }
        let span = waiting.removeFirst()
        isRunning = true
        running += 1
        let number = running
        if span == 0 { return process.post { [weak self] in if self?.running == number { self?.ended() } } }
        process.at(process.host.boot + .nanoseconds(span)) { [weak self] in if self?.running == number { self?.ended() } }
    }

    private func ended() {
        isRunning = false
        ran()
        if !isRunning { next() }
    }
}
