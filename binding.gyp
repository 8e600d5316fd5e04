{
  # CULVERT_ASAN=1 in the environment: the address sanitizer's build (scripts/asan.mjs).
  'variables': { 'culvert_asan%': '<!(node -p "process.env.CULVERT_ASAN === \'1\' ? 1 : 0")' },
  'targets': [
    {
      'target_name': 'culvert_tun',
      'sources': ['src/device/tun/native/addon.c', 'src/device/tun/native/queue.c', 'src/device/tun/native/coalesce.c'],
      'defines': ['NAPI_VERSION=8', '_GNU_SOURCE'],
      'cflags': ['-std=c11', '-Wall', '-Wextra', '-Werror=implicit-function-declaration', '-fvisibility=hidden'],
      'conditions': [
        ['culvert_asan==1', {
          'cflags': ['-fsanitize=address,undefined', '-fno-omit-frame-pointer', '-fno-sanitize-recover=undefined', '-g'],
          'ldflags': ['-fsanitize=address,undefined'],
        }],
      ],
    },
  ],
}
