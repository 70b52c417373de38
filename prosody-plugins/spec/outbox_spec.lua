local outbox = dofile("teleconsult/outbox.lib.lua");

local function nothing() end

describe("outbox", function ()
	local answers, posts, timers;

	-- an API that gives these answers, one after the other
	local function service()
		return {
			state = { source = "run" };
			timer = function (_, callback) table.insert(timers, callback); end;
			api = { post = function (path, message, done)
				table.insert(posts, { path = path; events = #message.events });
				done(table.unpack(table.remove(answers, 1)));
			end };
		};
	end

	before_each(function ()
		posts, timers = {}, {};
		module.measure = function () return nothing; end;
		module.get_option_number = function (_, _, default) return default; end;
		module.hook_global, module.log = nothing, nothing;
	end);

	it("keeps a batch until the API says that it took it", function ()
		answers = { { nil, "timeout" }, { {} }, { { accepted = "1" } }, { { accepted = 0 } } };
		local sender = outbox.open(service());
		sender:push({ id = 1 });
		while timers[1] do table.remove(timers, 1)(); end
		assert.equal(4, #posts);
		assert.same({ path = "/internal/rooms/events"; events = 1 }, posts[4]);
		assert.equal(sender.queue.first, sender.queue.last + 1);
	end);
end);
