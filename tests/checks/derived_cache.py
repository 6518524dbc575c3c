"""A project's own subclass of django-redis' cache, apart because django-redis may not be installed."""

from django_redis.cache import RedisCache


class ShopRedisCache(RedisCache):  # type: ignore[misc]  # django-redis' class has no types
    pass
