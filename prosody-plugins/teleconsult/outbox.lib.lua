-- The way of room events out of this process: one sender, whose queue outlives a reload of the module that runs it.
-- Option: teleconsult_queue_size (events kept while the API is away, default 10000).

local sender = module:require "teleconsult/sender";

-- less would drop what a short pause of the API leaves waiting
local SMALLEST_QUEUE = 100;

local outbox = {};

local function measure(queue)
	local waiting = module:measure("events_waiting", "amount");
	local dropped = module:measure("events_dropped", "amount");
	module:hook_global("stats-update", function ()
		waiting(sender.length(queue));
		dropped(queue.dropped);
	end);
end

-- service: see service.lib. Leaves the sender in the shared state, for the modules on other hosts.
function outbox.open(service)
	local state = service.state;
	state.queue = state.queue or sender.new_queue();
	measure(state.queue);
	state.outbox = sender.new({
		queue = state.queue; source = state.source; timer = service.timer;
		limit = math.max(SMALLEST_QUEUE, module:get_option_number("teleconsult_queue_size", 10000));
		log = function (level, ...) module:log(level, ...); end;
		post = function (batch, done)
			service.api.post("/internal/rooms/events", batch, function (answer, reason)
				-- a number below the batch's size is fine: the API passes over what it cannot read
				local taken = answer ~= nil and type(answer.accepted) == "number";
				if not taken then module:log("warn", "room events were not taken: %s", reason or "malformed"); end
				done(taken);
			end);
		end;
	});
	return state.outbox;
end

return outbox;
