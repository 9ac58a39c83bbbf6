import QQCore

/// Tasks that sleep, soonest first.
struct TimerQueue {
    private var sleeping: [(at: BootInstant, waiter: MainLoop.Waiter)] = []

    var earliest: BootInstant? { sleeping.last?.at }

    mutating func insert(_ waiter: MainLoop.Waiter, at instant: BootInstant) {
        // Kept in descending order, so that what is due is at the end. Equal moments keep their order of arrival.
        var low = 0
        var high = sleeping.count
        while low < high {
            let middle = (low + high) / 2
            if sleeping[middle].at > instant { low = middle + 1 } else { high = middle }
        }
        sleeping.insert((instant, waiter), at: low)
    }

    mutating func removeDue(at now: BootInstant) -> [MainLoop.Waiter] {
        var due: [MainLoop.Waiter] = []
        while let last = sleeping.last, last.at <= now {
            due.append(last.waiter)
            sleeping.removeLast()
        }
        return due
    }

    mutating func remove(id: UInt64) -> MainLoop.Waiter? {
        guard let index = sleeping.firstIndex(where: { $0.waiter.id == id }) else { return nil }
        return sleeping.remove(at: index).waiter
    }
}
